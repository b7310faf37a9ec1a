"""What goes into a planner and comes out of it: how a source is read, fetches, answers, accepted
pages. Pure values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from worker.core.cursor import Json
from worker.core.model import Decoded, Facts, Ledger, Progress
from worker.paging.marks import Comparable, MarkFormat
from worker.paging.style import Address, Pagination
from worker.paging.windows import Windows

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
    """

    field: str
    format: MarkFormat = DEFAULT_FORMAT
    initial: Json = None
    overlap_s: float = 0.0
    order: str = "ascending"
    token: Callable[[Facts, Mapping[str, str]], Json] | None = None
    newest_bound_s: float | None = None
    until: Comparable | None = None


@dataclass(frozen=True, slots=True)
class StopSpec:
    """Rules that end a pass, besides the style's own end."""

    empty_page: bool = True
    short_page: int | None = None  # a page of fewer records than this
    max_pages: int = 100_000
    when: Callable[[Facts], bool] = lambda facts: False


@dataclass(frozen=True, slots=True)
class PagingSpec:
    """What the planner of each partition of a source has in common.

    With `windows`, `style` walks the pages of one window after the other.
    """

    style: Pagination
    stop: StopSpec = StopSpec()
    incremental: IncrementalSpec | None = None
    windows: Windows | None = None
    total: Callable[[Facts, Mapping[str, str]], int | None] = lambda facts, headers: None
    counts_distinct: bool = (
        False  # a total and a key are configured: the total is compared with distinct records
    )
    completeness: str = "unknown"  # what a pass is where no total proves more
    every_s: float | None = None
    jitter: Callable[[], float] = lambda: 0.0
    spread: Callable[[], float] = lambda: 0.0  # seconds that put off what is overdue at a start
    once: bool = False
    depth: int = 1
    boundary_cap: int = 1_000_000
    wall: Callable[[], float] = lambda: 0.0  # seconds since 1970, for newest_bound and windows
    strip: Callable[[str], str] = lambda url: (
        url
    )  # takes credentials out of a URL that is going to be stored


@dataclass(frozen=True, slots=True)
class Fetch:
    """A page to ask for: where, and from which bound of the pass."""

    position: Json
    address: Address
    since: Json
    speculative: bool
    first: bool  # of the pass, or of its window: no status stop rule applies
    generation: int
    unmarked: bool = False  # the pass began without a mark
    validators: Json = None  # of the last complete pass, with the first page of a pass


@dataclass(frozen=True, slots=True)
class Wait:
    until: float


@dataclass(frozen=True, slots=True)
class Done:
    reason: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that was understood.

    `decoded` is None for an answer without a document (204, 205, `empty`).
    """

    decoded: Decoded | None
    headers: Mapping[str, str] = field(default_factory=dict)
    stop: str = ""  # a status stop rule applies
    validators: Json = None  # what the source said of the version of this page
    unchanged: bool = False  # the source is as the last complete pass saw it
    split: str = ""  # the window is too long for the source: what it said


@dataclass(frozen=True, slots=True)
class PassEnd:
    number: int
    received: int
    reason: str
    completeness: str


@dataclass(slots=True)
class Accepted:
    """A page taken in order: what to shape, and what changes when it is committed."""

    decoded: Decoded
    position: Json
    group: int
    progress: Progress
    ledger: Ledger
    pass_end: PassEnd | None = None
    drift: str = ""
