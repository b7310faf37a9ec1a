"""Whether stored cursors still mean what they meant when they were stored. Pure.

The *fingerprint* of a pipeline is a hash for each key of its source that gives cursors their
meaning (`url`, `params.tag`, `pagination.type`, ...). A commit log keeps the one of the last run.

It has two levels. Its *groups* are whole first keys (`params`, `pagination`, ...); versions up to
0.1 kept nothing else. Its *keys* are what stands below them, so that a change is named exactly, and
so that what only counts from the next pass on can be told from what the cursors rest on. A stored
fingerprint that has keys is compared by keys, an older one by groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from worker.core.cursor import Cursor
from worker.core.errors import ConfigError
from worker.core.model import REPLAYED, PartitionRow

MARK: Final = "mark"
"""The entry for what marks are, in words; only fingerprints with keys have it."""

SPLIT: Final = ("params", "headers", "pagination", "incremental")
"""The groups that have keys below them. The others are keys themselves."""

_LATER: Final = ("key", "method", "headers")
"""Groups that states of older versions lack: nobody knows what they were, so they count as
unchanged."""

_FREE: Final = (
    "incremental.order",
    "pagination.size",
    "pagination.limit",
    "pagination.within.size",
)
"""These count from the next pass on: a pass in progress knows what it was begun with."""

_RULES: Final = (
    "incremental.to.encoded",
    "pagination.to.encoded",
    "incremental.below_bound",
    "incremental.future",
    "incremental.step",
    "pagination.lag",
    "pagination.repeat",
    "pagination.seam",
    "pagination.split_on",
    "pagination.stable",
    "pagination.step",
    "pagination.within.lag",
    "pagination.within.split_on",
    "pagination.within.step",
)
"""These say how pages are judged and how windows are cut. No position and no mark rests on them,
and errors advise to change them."""

_MARKED: Final = (MARK, "partitions", "incremental.field", "incremental.from")
"""With another one of these a mark says nothing."""

_IDENTITY: Final = ("key", "incremental.format")
"""With another one of these a boundary key does not recognise its record."""

_HIDING: Final = ("pagination", "incremental")
"""Groups of an older fingerprint that may hide one of those below them."""


@dataclass(frozen=True, slots=True)
class Change:
    """How a config differs from the one that the cursors rest on.

    Attributes:
        keys: the keys that changed, as the config has them below `source`.
        ends_marks: those of them with which the stored marks say nothing.
        ends_keys: those of them with which boundary keys do not recognise their records.
    """

    keys: tuple[str, ...] = ()
    ends_marks: tuple[str, ...] = ()
    ends_keys: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys)

    def __str__(self) -> str:
        """The keys, for people."""
        return named(self.keys)

    def has(self, name: str) -> bool:
        """Whether this key changed, or one below it."""
        return any(_is_below(entry, (name,)) for entry in self.keys)


def named(keys: Iterable[str]) -> str:
    """Keys below `source`, for people."""
    return ", ".join(f"source.{key}" for key in keys)


def change(
    known: Mapping[str, str], now: Mapping[str, str], *, cursors: Iterable[Cursor], keyed: bool
) -> Change:
    """What changed of that which stored cursors rest on.

    Args:
        known: the fingerprint that the log keeps; empty for a pipeline that never ran.
        now: the fingerprint of the config.
        cursors: the stored ones of the source. While none was moved nothing rests on `known`.
        keyed: boundary keys are stored that were made with `source.key`. Without any, and while no
            record has had it, it may change.
    """
    moved = [cursor for cursor in cursors if cursor != Cursor()]
    if not known or not moved:
        return Change()
    keyed = keyed or any(cursor.keyed for cursor in moved)
    marked = any(cursor.mark is not None for cursor in moved)
    return _change_of(_differing(known, now), keyed=keyed, marked=marked)


def _change_of(changed: list[str], *, keyed: bool, marked: bool) -> Change:
    """What it means that these entries changed, where records have had keys, and marks are kept."""
    if not keyed and "key" in changed:
        changed.remove("key")
    return Change(
        keys=tuple(entry for entry in changed if entry != MARK),
        ends_marks=_those(changed, _MARKED) if marked else (),
        ends_keys=_those(changed, _IDENTITY) if keyed else (),
    )


def _differing(known: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The entries that two fingerprints have with different values; older ones know groups only."""
    compared = _in_keys if MARK in known else partial(_in_groups, known)
    return sorted(
        entry for entry in {*known, *now} if compared(entry) and known.get(entry) != now.get(entry)
    )


def source_cursors(rows: Iterable[PartitionRow]) -> dict[str, Cursor]:
    """The cursors of the partitions that rest on the source; a replay reads what is stored here.

    Raises StateError for one that this program cannot read.
    """
    return {
        row.partition: Cursor.from_json(row.cursor) for row in rows if row.partition != REPLAYED
    }


def _in_keys(entry: str) -> bool:
    return entry not in SPLIT and not _is_below(entry, (*_FREE, *_RULES))


def _in_groups(known: Mapping[str, str], entry: str) -> bool:
    return "." not in entry and entry != MARK and (entry in known or entry not in _LATER)


def _those(changed: Sequence[str], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(entry for entry in changed if _is_below(entry, names) or entry in _HIDING)


def _is_below(entry: str, names: tuple[str, ...]) -> bool:
    """Whether an entry is one of these names, or stands below one of them."""
    return any(entry == name or entry.startswith(f"{name}.") for name in names)


def leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested maps by their dotted names; an empty map has none."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{above}{name}.")
        elif above:
            yield f"{above}{name}", value


def groups(fingerprint: Mapping[str, str]) -> dict[str, str]:
    """The upper level of a fingerprint."""
    return {name: value for name, value in fingerprint.items() if "." not in name and name != MARK}


def refuse_changed(pipeline: str, found: Change) -> None:
    """Raises ConfigError naming the keys of the config that no longer mean what the cursors mean,
    and the ways out.
    """
    if found:
        raise ConfigError(
            f"pipeline {pipeline!r}: {found} changed since its cursors were stored; they would"
            " mean something else now",
            remedy=f"put it back; {_adopt(pipeline, found)}; rename the pipeline; or read"
            f" everything again: {_reset(pipeline)}",
        )


def refuse_adoption(pipeline: str, found: Change) -> None:
    """Raises ConfigError where marks would have to be kept that say nothing any more."""
    if not found.ends_marks:
        return
    hidden = set(found.ends_marks) <= set(_HIDING)
    raise ConfigError(
        f"pipeline {pipeline!r}: its marks cannot be kept, because"
        f" {named(each for each in found.ends_marks if each != MARK) or found} changed"
        + (", and an older version stored it as a whole" if hidden else ""),
        remedy=("put it back for one run, then change it; or " if hidden else "put it back, or ")
        + f"read everything again: {_reset(pipeline)}",
    )


def _adopt(pipeline: str, found: Change) -> str:
    if found.ends_marks:
        return "`worker state adopt` has no way for it, because the marks would say nothing"
    return f"accept it: `worker state adopt CONFIG {pipeline}` says first what comes twice"


def _reset(pipeline: str) -> str:
    return f"`worker state reset CONFIG --pipeline {pipeline}`"
