"""Where a partition stands, and the JSON that the commit log keeps of it. Pure values.

    Cursor                     of a partition: which pass, how far the source has durably come
      PassState                of the pass in progress: what it asked for, where its next page is
        WindowState            of the time window in progress, where a source is read in windows

What these values mean, and how they change, is decided in `worker.paging`. A cursor that an older
version of the product has stored is written back with the same bytes: keys keep the order that they
were stored in, and those that were absent stay absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Self

import msgspec

from worker.core.errors import StateError
from worker.core.instants import LEAST, MOST, rfc3339_text

Json = Any  # a JSON value: None, bool, int, float, str, list, dict

CURSOR_VERSION: Final = 1
CURSOR_LIMIT_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Window:
    """A range of the incremental field, half open: [start, end), in microseconds since 1970.

    Attributes:
        start: the first moment of the window.
        end: the first moment after the window.
        until: where the last window of the pass ends.
        ends: where the windows end that this one is a part of, the outermost first.
    """

    start: int
    end: int
    until: int
    ends: tuple[int, ...] = ()

    def to_json(self) -> Json:
        """The window as a cursor keeps it."""
        return {
            "start": self.start,
            "end": self.end,
            "until": self.until,
            "ends": list(self.ends),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The window that `to_json` wrote."""
        return cls(value["start"], value["end"], value["until"], tuple(value["ends"]))


@dataclass(frozen=True, slots=True)
class Before:
    """What a pass brought before its window in progress.

    Attributes:
        pages: number of pages.
        received: number of records.
        proven: whether every window so far ended with as many records as its total said.
    """

    pages: int = 0
    received: int = 0
    proven: bool = True


NOTHING_BEFORE: Final = Before()


@dataclass(frozen=True, slots=True)
class WindowState:
    """The window in progress.

    Attributes:
        window: the range that is being read.
        marked: the mark at the start of the pass.
        before: what the pass brought in its earlier windows.
    """

    window: Window
    marked: int | str | None
    before: Before = NOTHING_BEFORE

    def to_json(self) -> dict[str, Json]:
        """The keys that a window adds to those of its pass."""
        before = self.before
        return {
            "window": self.window.to_json(),
            "marked": self.marked,
            "before": {
                "pages": before.pages,
                "received": before.received,
                "proven": before.proven,
            },
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The window that `to_json` wrote among the keys of its pass."""
        return cls(Window.from_json(value["window"]), value["marked"], Before(**value["before"]))


_ALWAYS: Final = ("since", "at", "pages", "fresh", "unmarked")


@dataclass(frozen=True, slots=True)
class PassState:
    """Where the pass in progress stands.

    Attributes:
        since: the lower bound that the pass asks for, as the source wants it written; it stays the
            same for the whole pass.
        at: the position of the next page, as the pagination style understands it.
        pages: number of pages accepted so far.
        fresh: whether any record of the pass was new.
        unmarked: whether the pass began without a mark.
        window: the time window in progress; None where the source is not read in windows.
        validators: what the source reported about the version of the first page, for conditional
            requests.
        drifted: whether the reported total was wrong, or changed, within the pass.
        passed: whether more records came than the total in force said, so that it ends nothing any
            more.
        stored: the keys that the stored form has, in their order.
    """

    since: Json = None
    at: Json = None
    pages: int = 0
    fresh: bool = False
    unmarked: bool = False
    window: WindowState | None = None
    validators: Json = None
    drifted: bool = False
    passed: bool = False
    stored: tuple[str, ...] = _ALWAYS

    @classmethod
    def begun(
        cls, *, at: Json, since: Json = None, unmarked: bool, window: WindowState | None = None
    ) -> Self:
        """The state before the first page of a pass."""
        stored = _ALWAYS if window is None else (*_ALWAYS, "window")
        return cls(since=since, at=at, unmarked=unmarked, window=window, stored=stored)

    def evolve(self, **changes: Any) -> Self:
        """The state with other values; keys that are new are stored after the others."""
        new = tuple(name for name in changes if name not in self.stored)
        return replace(self, **changes, stored=self.stored + new)

    @property
    def before(self) -> Before:
        """What the pass brought before the window in progress."""
        return NOTHING_BEFORE if self.window is None else self.window.before

    def to_json(self) -> dict[str, Json]:
        """The state as a cursor keeps it."""
        document: dict[str, Json] = {}
        for name in self.stored:
            value = getattr(self, name)
            document |= value.to_json() if isinstance(value, WindowState) else {name: value}
        return document

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The state that `to_json` wrote, in this version or an older one."""
        window = WindowState.from_json(value) if "window" in value else None
        stored = tuple(name for name in value if name not in ("marked", "before"))
        plain = {name: value[name] for name in stored if name != "window"}
        return cls(**plain, window=window, stored=stored)

    @property
    def place(self) -> Json:
        """Where the next page is, for programs: the position of the style, and the window where
        there is one.
        """
        if self.window is None:
            return self.at
        return {"window": self.window.window.to_json(), "at": self.at}

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


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a partition resumes.

    Attributes:
        pass_no: number of the pass in progress, from 1.
        position: where the pass in progress stands; None before its first page is accepted.
        mark: how far the source has durably come (comparable form: int for instants and numbers,
            str for strings).
        snapshot_mark: highest incremental value received in this pass.
        received: records received in this pass.
        total: what the source reported as its number of records, in this pass.
        validators: what the source reported about its version at the last complete pass, for
            conditional requests.
        complete: a source that is read once has been read.
    """

    pass_no: int = 1
    position: PassState | None = None
    mark: int | str | None = None
    snapshot_mark: int | str | None = None
    received: int = 0
    total: int | None = None
    validators: Json = None
    complete: bool = False

    def to_json(self) -> str:
        """The cursor as the commit log keeps it.

        Raises StateError when it is larger than a cursor may be.
        """
        document = {
            "v": CURSOR_VERSION,
            "pass": self.pass_no,
            "position": None if self.position is None else self.position.to_json(),
            "mark": self.mark,
            "snapshot_mark": self.snapshot_mark,
            "received": self.received,
            "total": self.total,
            "validators": self.validators,
            "complete": self.complete,
        }
        text = msgspec.json.encode(document)
        if len(text) > CURSOR_LIMIT_BYTES:
            raise StateError(
                f"cursor of {len(text)} bytes, at most {CURSOR_LIMIT_BYTES} are allowed",
                remedy="the source's page token is too large to keep",
            )
        return text.decode()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The cursor that `to_json` wrote.

        Raises StateError for a version that this program does not know.
        """
        try:
            document = msgspec.json.decode(text, type=dict[str, Any])
            version = document.pop("v", None)
            if version != CURSOR_VERSION:
                raise StateError(
                    f"cursor has version {version!r}, this program knows {CURSOR_VERSION}",
                    remedy="run the version that wrote the state, or newer",
                )
            msgspec.convert(document, type=_StoredCursor)
            position = document.pop("position")
            return cls(
                pass_no=document.pop("pass"),
                position=None if position is None else PassState.from_json(position),
                **document,
            )
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

    def evolve(self, **changes: Any) -> Self:
        """The cursor with other values."""
        return replace(self, **changes)


_Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Instant = Annotated[int, msgspec.Meta(ge=LEAST, le=MOST)]


class _StoredWindow(msgspec.Struct, forbid_unknown_fields=True):
    start: _Instant
    end: _Instant
    until: _Instant
    ends: list[_Instant]


class _StoredBefore(msgspec.Struct, forbid_unknown_fields=True):
    pages: _Count
    received: _Count
    proven: bool


class _StoredPass(msgspec.Struct, forbid_unknown_fields=True):
    """What the stored form of a pass must be; older versions wrote fewer keys."""

    since: Any
    at: Any
    pages: _Count
    fresh: bool
    unmarked: bool = False
    window: _StoredWindow | msgspec.UnsetType = msgspec.UNSET
    marked: _Whole | str | msgspec.UnsetType | None = msgspec.UNSET
    before: _StoredBefore | msgspec.UnsetType = msgspec.UNSET
    validators: Any = None
    drifted: bool = False
    passed: bool = False

    def __post_init__(self) -> None:
        kept = [key is not msgspec.UNSET for key in (self.window, self.marked, self.before)]
        if any(kept) != all(kept):
            raise ValueError("window, marked and before stand together")


class _StoredCursor(msgspec.Struct, forbid_unknown_fields=True):
    """What the stored form of a cursor must be, without its version."""

    pass_no: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] = msgspec.field(name="pass")
    position: _StoredPass | None
    mark: _Whole | str | None
    snapshot_mark: _Whole | str | None
    received: _Count
    total: _Whole | None
    validators: Any
    complete: bool
