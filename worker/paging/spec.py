"""What goes into a planner and comes out of it: how a source is read, fetches, answers, accepted
pages. Pure values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from worker.core.cursor import Json, Window
from worker.core.model import Decoded, Facts, Ledger, Progress
from worker.paging.marks import Comparable, MarkFormat
from worker.paging.page_sizes import PageSizes
from worker.paging.schedule import Schedule
from worker.paging.style import Address, Pagination
from worker.paging.windows import Windows

FEW: Final = 10_000
DEFAULT_FORMAT: Final = MarkFormat()


@dataclass(frozen=True, slots=True)
class IncrementalSpec:
    """How a source is read incrementally; `order` is ascending, descending or any.

    Attributes:
        token: reads the mark from a response instead of from records; it moves when a pass has
            ended.
        newest_bound_s: no pass asks for a bound that is newer than so long ago.
        until: records from this value on are left out, and end the pass of an ascending source (a
            backfill).
        step_us: the source rounds bounds down to whole steps of this length, counted in the zone of
            `format`; 0: it does not.
        below: what a record below the bound is that nobody remembers: `fail`, `drop` or `keep`.
        sent: what carries the bound, in words; empty where the source is given none.
        capped: no mark is later than now.
    """

    field: str
    format: MarkFormat = DEFAULT_FORMAT
    initial: Json = None
    overlap_s: float = 0.0
    order: str = "ascending"
    token: Callable[[Facts, Mapping[str, str]], Json] | None = None
    newest_bound_s: float | None = None
    until: Comparable | None = None
    step_us: int = 0
    below: str = "fail"
    sent: str = "the request"
    capped: bool = False


@dataclass(frozen=True, slots=True)
class StopSpec:
    """Rules that end a pass, besides the style's own end."""

    empty_page: bool = True
    repeated_page: bool = False  # a page whose records equal those of the page before
    short_page: int | None = None  # a page of fewer records than this
    max_pages: int = 100_000
    when: Callable[[Facts], bool] = lambda facts: False


def no_total(facts: Facts, headers: Mapping[str, str]) -> int | None:
    """The total of a source that is not asked for one."""
    return None


def _as_it_is(url: str) -> str:
    return url


@dataclass(frozen=True, slots=True)
class PagingSpec:
    """What the planner of each partition of a source has in common.

    Attributes:
        style: walks the pages of a pass; with `windows`, those of one window after the other.
        total: how many records the source says that it has.
        key: the paths of the identity of a record; empty where it is known by its bytes.
        size: records a page that are asked for; None where the source decides.
        sizes: how fewer are asked for while the source refuses so many; None where they are not.
        repeats: numbered pages may be equal to earlier ones.
        seam: each page begins with the last record of the page before.
        stable: records keep their place while pages are read.
        empty_missing: a page without the records path is meant to be empty.
        completeness: what a pass is where no total proves more.
        required: the least completeness with which the mark may move.
        schedule: when passes begin; None: it is read once.
        depth: pages in flight at most.
        boundary_cap: identities that are remembered at most.
        wall: seconds since 1970.
        strip: takes credentials out of a URL that is going to be stored.
        listed: other pipelines read a list of what a whole pass has brought.
    """

    style: Pagination
    stop: StopSpec = StopSpec()
    incremental: IncrementalSpec | None = None
    windows: Windows | None = None
    total: Callable[[Facts, Mapping[str, str]], int | None] = no_total
    key: tuple[str, ...] = ()
    size: int | None = None
    sizes: PageSizes | None = None
    repeats: bool = False
    seam: bool = False
    stable: bool = False
    empty_missing: bool = False
    completeness: str = "unknown"
    required: str = "unknown"
    schedule: Schedule | None = None
    jitter: Callable[[], float] = lambda: 0.0
    spread: Callable[[], float] = lambda: 0.0  # seconds that put off what is overdue at a start
    once: bool = False
    depth: int = 1
    boundary_cap: int = 1_000_000
    wall: Callable[[], float] = lambda: 0.0
    strip: Callable[[str], str] = _as_it_is
    listed: bool = False

    @property
    def by_value(self) -> bool:
        """Whether a value of records says how far the source has come."""
        return self.incremental is not None and self.incremental.token is None

    @property
    def in_order(self) -> bool:
        """Whether records come in the order of the incremental field."""
        return self.incremental is not None and self.incremental.order == "ascending"

    @property
    def few(self) -> int:
        """So many identities are remembered wherever their values lie; of more, those that a later
        request can bring again.
        """
        return min(FEW, self.boundary_cap)

    @property
    def holds_mark(self) -> bool:
        """Whether the mark moves only when a pass has achieved what is required."""
        return self.required != "unknown"

    @property
    def compares(self) -> bool:
        """Whether the records of a pass are held against each other.

        Numbered pages have nothing else that could repeat. A total counts records, so each of them
        once. Without an incremental value a key says which record came before.
        """
        if self.style.compares_records:
            return True
        return self.total is not no_total if self.by_value else bool(self.key)


@dataclass(frozen=True, slots=True)
class Fetch:
    """A page to ask for: where, and from which bound of the pass."""

    position: Json
    address: Address
    since: Json
    speculative: bool
    first: bool  # of the pass, or of its window: no status stop rule applies
    generation: int
    size: int  # records that it asks for, as in `PassState.asked`
    window: Window | None = None  # that the page is in
    unmarked: bool = False  # the pass began without a mark
    validators: Json = None  # of the last complete pass, with the first page of a pass
    columns: tuple[str, ...] = ()  # of the pages behind the first one, as in `PassState.columns`


@dataclass(frozen=True, slots=True)
class Wait:
    until: float


@dataclass(frozen=True, slots=True)
class Done:
    reason: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that was understood.

    Attributes:
        decoded: None for an answer without a document (204, 205, `empty`).
        stop: which status stop rule applies, in words; empty for none.
        validators: what the source said of the version of this page.
        unchanged: the source is as the last complete pass saw it.
        split: what the source said of a window that is too long for it; empty where it is not.
        skipped: what it said of a page that is left out.
        too_large: what it said of a page that is to be asked for with fewer records.
        now_us: when the source gave the answer, in microseconds since 1970: the earlier of its
            clock and ours; None where that is not known.
    """

    decoded: Decoded | None
    headers: Mapping[str, str] = field(default_factory=dict)
    stop: str = ""
    validators: Json = None
    unchanged: bool = False
    split: str = ""
    skipped: str = ""
    too_large: str = ""
    now_us: int | None = None


@dataclass(frozen=True, slots=True)
class PassEnd:
    """How a pass ended. `missed` is the completeness that it was to have, if it has less, and
    `because` what kept it from more.
    """

    number: int
    received: int
    reason: str
    completeness: str
    missed: str = ""
    because: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A page taken in order: what to shape, and what changes when it is committed.

    Attributes:
        noted: kind of oddity (`below_bound`, `key_repeated`, `key_missing`) -> number of records.
    """

    decoded: Decoded
    position: Json
    group: int
    progress: Progress
    ledger: Ledger
    pass_end: PassEnd | None = None
    drift: str = ""
    noted: Mapping[str, int] = field(default_factory=dict)
