"""How a partition goes on after a start. Pure.

A cursor was stored by another process, perhaps of another version, or was edited by hand: one that
does not fit how the source is read is refused by name.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from worker.core.cursor import Cursor, Json, PassState
from worker.core.errors import StateError
from worker.paging.spec import IncrementalSpec, PagingSpec

_KINDS: Final = {int: "a whole number", str: "text"}


def refuse_unfit(spec: PagingSpec, cursor: Cursor, where: str) -> None:
    """Raises StateError for a cursor that cannot be one of the source. `where`: the partition."""
    if spec.incremental is not None:
        kind = _mark_kind(spec.incremental)
        for name, mark in (("mark", cursor.mark), ("snapshot_mark", cursor.snapshot_mark)):
            if mark is not None and not isinstance(mark, kind):
                raise _unfit(where, name, mark, _KINDS[kind])
    if cursor.position is not None:
        _refuse_position(spec, cursor.position, where)


def _mark_kind(incremental: IncrementalSpec) -> type[int] | type[str]:
    return str if incremental.token is not None or incremental.format.record == "string" else int


def _refuse_position(spec: PagingSpec, state: PassState, where: str) -> None:
    allowed = spec.style.position_type
    try:
        msgspec.convert(state.at, type=allowed)
    except msgspec.ValidationError as error:
        raise _unfit(where, "position.at", state.at, f"a position of its style: {error}") from error
    if (state.window is None) != (spec.windows is None):
        there = "no window" if state.window is None else "a window"
        raise _unfit(where, "position", there, "what source.pagination has")


def _unfit(where: str, key: str, found: Json, allowed: str) -> StateError:
    return StateError(
        f"the cursor of the partition has {key} {_shown(found)}, which is not {allowed}",
        where=where,
        remedy="undo what changed the state by hand, or read the partition again:"
        " `worker state reset CONFIG --pipeline NAME --partition PARTITION`",
    )


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()[:80]
