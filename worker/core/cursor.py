"""Where a partition stands, and the JSON that the commit log keeps of it. Pure values.

    Cursor                     of a partition: which pass, how far the source has durably come
      PassState                of the pass in progress: what it asked for, where its next page is
        WindowState            of the time window in progress, where a source is read in windows

What these values mean, and how they change, is decided in `worker.paging`. Values that are as they
begin are not stored. Cursors of version 1, which older versions of the product have stored, are
read too, and written as version 2 from the next commit on.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

import msgspec
from msgspec import structs

from worker.core.errors import CursorTooLarge, StateError
from worker.core.instants import LEAST, MOST, rfc3339_text

Json = Any  # a JSON value: None, bool, int, float, str, list, dict

CURSOR_VERSION: Final = 2
CURSOR_LIMIT_BYTES: Final = 64 * 1024

_Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Instant = Annotated[int, msgspec.Meta(ge=LEAST, le=MOST)]
_Comparable = _Whole | str | None
_VERSION_1: Final = (
    *("pass", "position", "mark", "snapshot_mark"),
    *("received", "total", "validators", "complete"),
)
"""The keys that a cursor of version 1 always has."""


class _Stored(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A value that cursors hold; what its fields may be is checked when it is read."""

    def evolve(self, **changes: Any) -> Self:
        """The same with other values."""
        return structs.replace(self, **changes)


class Window(_Stored, frozen=True, kw_only=False):
    """A range of the incremental field, half open: [start, end), in microseconds since 1970.

    Attributes:
        start: the first moment of the window.
        end: the first moment after the window.
        until: where the last window of the pass ends.
        ends: where the windows end that this one is a part of, the outermost first.
        size: how long whole windows are, in microseconds, since the source has refused longer ones;
            0: as long as the config says.
    """

    start: _Instant
    end: _Instant
    until: _Instant
    ends: tuple[_Instant, ...] = ()
    size: _Count = 0


class Before(_Stored, frozen=True, kw_only=False):
    """What a pass brought before its window in progress.

    Attributes:
        pages: number of pages.
        received: number of records.
        proven: whether every window so far ended with as many records as its total said.
        counting: whether the tokens of any window so far stood for a number.
    """

    pages: _Count = 0
    received: _Count = 0
    proven: bool = True
    counting: bool = False


NOTHING_BEFORE: Final = Before()


class WindowState(_Stored, frozen=True, kw_only=False):
    """The window in progress.

    Attributes:
        window: the range that is being read.
        marked: the mark at the start of the pass.
        before: what the pass brought in its earlier windows.
    """

    window: Window = msgspec.field(name="range")
    marked: _Comparable
    before: Before = NOTHING_BEFORE


class PassState(_Stored, frozen=True):
    """Where the pass in progress stands. What is said of pages is, with windows, said of those of
    the window in progress.

    Attributes:
        since: the lower bound that the pass asks for, as the source wants it written; it stays the
            same for the whole pass.
        at: the position of the next page, as the pagination style understands it.
        order: the order of records that the pass began with.
        size: the records a page that the pass began to ask for.
        pages: number of pages accepted so far.
        fresh: whether any record of the pass was new.
        unmarked: whether the pass began without a mark.
        window: the time window in progress; None where the source is not read in windows.
        validators: what the source reported about the version of the first page, for conditional
            requests.
        first, last, largest: records of the first page, of the page before and of the largest.
        drifted: whether the reported total was wrong, or changed, within the pass, or whether
            anything else has shown that the pass is not all that the source has.
        grew: whether the reported total was larger on a later page than before.
        remains: whether the reported total says what is still to come.
        passed: whether more records came than the total in force said, so that it ends nothing any
            more.
        aside: whether no record of the page before was new.
        asked_again: whether the page before was empty and is asked for once more.
        restarts: how often the pass has begun again.
        known_pages: pages that were read before it began again, and may bring nothing new.
        digest: of the records of the page before, where equal pages end the pass.
        seam: identity of the last record of the page before, where the next page repeats it.
        uncounted: whether identities of the pass are no longer kept, because they were too many.
        counting: whether the tokens of the pass stand for a number.
        walked: records that came since the pass began again.
        asked: records a page that are asked for since the source has refused larger pages; 0: as
            many as the config says.
        skipped: pages that were left out.
        skipped_in_row: those of them that came right before the next page.
        columns: the names of the columns that its first page had, where the others lack them.
        began_us: when its first page was answered, in microseconds since 1970; 0: not known.
        asked_for: digest of the record that names the partition, as it was when the pass began;
            empty where passes do not follow from its changes.
    """

    at: Json
    since: Json = None
    order: str = ""
    size: _Count = 0
    pages: _Count = 0
    fresh: bool = False
    unmarked: bool = False
    window: WindowState | None = None
    validators: Json = None
    first: _Count = 0
    last: _Count = 0
    largest: _Count = 0
    drifted: bool = False
    grew: bool = False
    remains: bool = False
    passed: bool = False
    aside: bool = False
    asked_again: bool = False
    restarts: _Count = 0
    known_pages: _Count = 0
    digest: bytes = b""
    seam: bytes = b""
    uncounted: bool = False
    counting: bool = False
    walked: _Count = 0
    asked: _Count = 0
    skipped: _Count = 0
    skipped_in_row: _Count = 0
    began_us: _Whole = 0
    columns: tuple[str, ...] = ()
    asked_for: bytes = b""

    @property
    def before(self) -> Before:
        """What the pass brought before the window in progress."""
        return NOTHING_BEFORE if self.window is None else self.window.before

    @property
    def pages_here(self) -> int:
        """Number of pages accepted of the window in progress, or of the pass without windows."""
        return self.pages - self.before.pages

    def at_first(self, position: Json, **changes: Any) -> Self:
        """The state at the first page, which nothing of the pages before it concerns."""
        return self.evolve(
            at=position,
            first=0,
            last=0,
            largest=0,
            aside=False,
            asked_again=False,
            digest=b"",
            seam=b"",
            columns=(),
            **changes,
        )

    @property
    def place(self) -> Json:
        """Where the next page is, for programs: the position of the style, and the window where
        there is one.
        """
        if self.window is None:
            return self.at
        return {"window": msgspec.to_builtins(self.window.window), "at": self.at}

    def __str__(self) -> str:
        """Where the next page is, in words for operators."""
        asked = "" if self.since is None else f", asked for from {self.since} on"
        within = ""
        if self.window is not None:
            start, end = (
                rfc3339_text(at) for at in (self.window.window.start, self.window.window.end)
            )
            within = f", in the window from {start} to {end}"
        return (
            f"{self.pages} pages read, the next one is at {shown_position(self.at)}{within}{asked}"
        )


def shown_position(at: Json) -> str:
    """A position of a pagination style in words: `offset 200`, `token abc`; `the start` for the
    first page.
    """
    if at is None:
        return "the start"
    if isinstance(at, dict):
        return ", ".join(f"{name} {value}" for name, value in at.items())
    return str(at)


class Cursor(_Stored, frozen=True, kw_only=False, tag_field="v", tag=CURSOR_VERSION):
    """Where a partition resumes.

    Attributes:
        pass_no: number of the pass in progress, from 1.
        position: where the pass in progress stands; None before its first page is accepted.
        mark: how far the source has durably come (comparable form: int for instants and numbers,
            str for strings).
        snapshot_mark: highest incremental value received in this pass.
        received: distinct records received in this pass.
        total: what the source reported as its number of records, in this pass.
        validators: what the source reported about its version at the last complete pass, for
            conditional requests.
        complete: a source that is read once has been read.
        floor: no key below this value is remembered, so that no later pass asks from below it.
        keyed: whether any record of the partition has had its key.
        token_seen: whether any page of the partition has named the token of the next one.
        total_seen: whether a pass of several pages has had as many records as the source said.
        full_seen: whether any page of the partition has been as long as was asked for.
        redone: passes in a row that were read again because they achieved less than is required.
        window_size: how long the windows of the next pass are, as in `Window`.
        page_size: records a page that the next pass asks for, as in `PassState.asked`.
        asked_for: as in `PassState`, of the last pass that is over.
    """

    pass_no: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] = msgspec.field(
        default=1, name="pass"
    )
    position: PassState | None = None
    mark: _Comparable = None
    snapshot_mark: _Comparable = None
    received: _Count = 0
    total: _Whole | None = None
    validators: Json = None
    complete: bool = False
    floor: _Comparable = None
    keyed: bool = False
    token_seen: bool = False
    total_seen: bool = False
    full_seen: bool = False
    redone: _Count = 0
    window_size: _Count = 0
    page_size: _Count = 0
    asked_for: bytes = b""

    def to_json(self) -> str:
        """The cursor as the commit log keeps it.

        Raises StateError when it is larger than a cursor may be.
        """
        text = msgspec.json.encode(self)
        if len(text) > CURSOR_LIMIT_BYTES:
            raise StateError(
                f"cursor of {len(text)} bytes, at most {CURSOR_LIMIT_BYTES} are allowed",
                remedy="the source's page token is too large to keep",
            )
        return text.decode()

    def refuse_oversized(self, where: str) -> None:
        """Raises CursorTooLarge where `to_json` would refuse it; `where` is the partition.

        A page is refused with it before anything of the page is committed beside other partitions.
        """
        if (size_bytes := len(msgspec.json.encode(self))) > CURSOR_LIMIT_BYTES:
            raise CursorTooLarge(
                f"a cursor of {size_bytes} bytes, at most {CURSOR_LIMIT_BYTES} are kept: the token"
                " of the next page is too large",
                where=where,
                remedy="ask the source for shorter tokens, or read it with another pagination",
            )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The cursor that `to_json` wrote, in this version or in version 1.

        Raises StateError for a version that this program does not know.
        """
        try:
            document = msgspec.json.decode(text, type=dict[str, Any])
            version = document.get("v")
            if version == 1:
                document = _from_version_1(document)
            elif version != CURSOR_VERSION:
                raise StateError(
                    f"cursor has version {version!r}, this program knows 1 and {CURSOR_VERSION}",
                    remedy="run the version that wrote the state, or newer",
                )
            return msgspec.convert(document, type=cls)
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise StateError(
                f"the cursor {text[:200]} is not one that this program writes: {error}",
                remedy="run the version that wrote the state, or reset the partition",
            ) from error

    def without_pass(self) -> Self:
        """The cursor without its pass in progress: the next page is the first one from the mark on.

        What the pass remembers beside the cursor has to be forgotten with it.
        """
        return self.evolve(position=None, snapshot_mark=None, received=0, total=None)


def _from_version_1(document: dict[str, Any]) -> dict[str, Any]:
    """A cursor of version 1 in the form of version 2: its window stood among the keys of its pass.

    Nobody looked whether the records of its pass had their key: they count as if one had.

    Raises KeyError where a key is not there that version 1 always wrote.
    """
    missing = [name for name in _VERSION_1 if name not in document]
    position = document.get("position")
    if isinstance(position, dict):
        position = dict(position)
        missing += [name for name in ("since", "at", "pages", "fresh") if name not in position]
        if "window" in position:
            position["window"] = {
                "range": position["window"],
                "marked": position.pop("marked"),
                "before": position.pop("before"),
            }
    if missing:
        raise KeyError(*missing)
    keyed = document["received"] != 0
    return {**document, "v": CURSOR_VERSION, "position": position, "keyed": keyed}
