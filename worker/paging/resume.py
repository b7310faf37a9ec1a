"""How a partition goes on after a start. Pure.

A cursor was stored by another process, perhaps of another version, or was edited by hand: one that
does not fit how the source is read is refused by name. The order of records and the size of pages
may have changed in the config since the pass in progress was begun: it keeps its order to its end,
and begins again where its pages are numbered by another size.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any, Final

import msgspec

from worker.core.cursor import Cursor, Json, PassState
from worker.core.errors import StateError
from worker.paging.spec import IncrementalSpec, PagingSpec

_KINDS: Final = {int: "a whole number", str: "text"}


def refuse_unfit(spec: PagingSpec, cursor: Cursor, where: str) -> None:
    """Raises StateError for a cursor that cannot be one of the source. `where`: the partition."""
    if spec.incremental is not None:
        kinds = _mark_kinds(spec.incremental)
        for name, mark in (("mark", cursor.mark), ("snapshot_mark", cursor.snapshot_mark)):
            if mark is not None and not isinstance(mark, kinds):
                raise _unfit(where, name, mark, " or ".join(map(_KINDS.__getitem__, kinds)))
    if cursor.position is not None:
        _refuse_position(spec, cursor.position, where)


def _mark_kinds(incremental: IncrementalSpec) -> tuple[type[int] | type[str], ...]:
    if incremental.token is not None:
        return (int, str)  # tokens are kept as they came
    return (str,) if incremental.format.record == "string" else (int,)


def _refuse_position(spec: PagingSpec, state: PassState, where: str) -> None:
    allowed = spec.style.position_type
    try:
        msgspec.convert(state.at, type=allowed)
    except msgspec.ValidationError as error:
        raise _unfit(where, "position.at", state.at, f"a position of its style: {error}") from error
    if (state.window is None) != (spec.windows is None):
        there = "no window" if state.window is None else "a window"
        raise _unfit(where, "position", there, "what source.pagination has")


def known_as_begun(spec: PagingSpec, cursor: Cursor) -> Cursor:
    """The cursor with what the pass was begun with.

    Version 1 of cursors did not keep it. A config that was changed since then was refused, so it is
    what the config says.
    """
    position, incremental = cursor.position, spec.incremental
    if position is None or position.order or position.size:
        return cursor
    order = incremental.order if incremental is not None and spec.by_value else ""
    return cursor.evolve(position=position.evolve(order=order, size=spec.size or 0))


def as_begun(spec: PagingSpec, state: PassState | None) -> PagingSpec:
    """How the pass in progress is read: in the order that it was begun with.

    What the config promises is promised of its own order only.
    """
    incremental = spec.incremental
    if state is None or incremental is None or state.order in ("", incremental.order):
        return spec
    return replace(
        spec, incremental=replace(incremental, order=state.order), completeness="unknown"
    )


def is_resized(spec: PagingSpec, state: PassState | None) -> bool:
    """Whether the position of a pass means another place with the size that is asked for now."""
    if state is None or not spec.style.by_size or not state.size or not spec.size:
        return False
    return state.size != spec.size


def resized(begun: PassState, before: PassState, spec: PagingSpec) -> PassState:
    """A pass that begins again because of its size, which is no restart that the source caused.

    Args:
        begun: the pass at its first page.
        before: the same where it stood.
    """
    size = spec.size or 0
    known_pages = ceil(begun.known_pages * before.size / size)
    return begun.evolve(size=size, asked=0, known_pages=known_pages, restarts=before.restarts)


def _unfit(where: str, key: str, found: Json, allowed: str) -> StateError:
    return StateError(
        f"the cursor of the partition has {key} {_shown(found)}, which is not {allowed}",
        where=where,
        remedy="undo what changed the state by hand, or read the partition again:"
        " `worker state reset CONFIG --pipeline NAME --partition PARTITION`",
    )


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()[:80]
