"""What `state adopt` does to stored cursors whose config means something else now. Pure.

A pass in progress rests on the config that it was begun with, so it is dropped: the next pass
begins at the mark. The mark stays, and so do the boundary keys, which recognise the records that
come again; unless the change takes their meaning from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from worker.core.cursor import Cursor
from worker.core.errors import ConfigError
from worker.core.meaning import MARK, Change, change, refuse_adoption, source_cursors
from worker.core.model import PartitionRow

_READ_WHOLE: Final = ("none", "token")
"""Kinds of marks for which no key of a record is remembered beyond its pass."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """What becomes of a partition.

    Attributes:
        before: its cursor until now.
        after: its cursor from now on.
        keys_forgotten: number of boundary keys that recognise their records no more.
        records_again: how many records that are committed come again and are not recognised; at
            most so many where they are those of forgotten keys.
    """

    partition: str
    before: Cursor
    after: Cursor
    keys_forgotten: int
    records_again: int

    def __str__(self) -> str:
        """What is lost and what comes twice, for people."""
        said = [self._dropped()] if self.before.position is not None else []
        if self.keys_forgotten:
            said.append(
                f"{self.keys_forgotten} boundary keys are forgotten, up to {self.records_again}"
                " records may come twice"
            )
        elif self.records_again:
            said.append(
                f"its {self.records_again} records come again under pass {self.after.pass_no}"
            )
        else:
            said.append("nothing comes twice")
        return f"{self.partition}: {'; '.join(said)}"

    def _dropped(self) -> str:
        position = self.before.position
        return f"pass {self.before.pass_no} in progress is dropped ({position})"

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        position = self.before.position
        return {
            "partition": self.partition,
            "pass_dropped": None if position is None else self.before.pass_no,
            "pages_dropped": 0 if position is None else position.pages,
            "next_pass": self.after.pass_no,
            "keys_forgotten": self.keys_forgotten,
            "records_again": self.records_again,
        }


@dataclass(frozen=True, slots=True)
class Adoption:
    """What accepting a config does.

    Attributes:
        change: what changed since the cursors were stored; nothing where there is nothing to do.
        partitions: those that rest on what changed, and are adopted.
        remaining: those that rest on it too, but were not chosen. While there are any, the config
            is not accepted.
        forgets_keys: whether boundary keys are forgotten.
        reads_anew: the next pass begins without a mark, where earlier ones had another kind of it:
            what they brought comes again.
        complete: number of partitions that were read once and are not read again.
    """

    change: Change
    partitions: tuple[Adopted, ...] = ()
    remaining: tuple[str, ...] = ()
    forgets_keys: bool = False
    reads_anew: bool = False
    complete: int = 0

    @property
    def cursors(self) -> dict[str, Cursor]:
        """Where the partitions stand from now on."""
        return {each.partition: each.after for each in self.partitions}


def adoption(
    pipeline: str,
    rows: Sequence[PartitionRow],
    *,
    known: Mapping[str, str],
    now: Mapping[str, str],
    remembered: Mapping[str, int],
    only: str | None = None,
) -> Adoption:
    """What accepting the config does to the partitions of a pipeline.

    Args:
        rows: all of its partitions.
        known: the fingerprint that the log keeps.
        now: the fingerprint of the config.
        remembered: how many boundary keys the partitions have.
        only: the one partition that is chosen; None: all.

    Raises:
        ConfigError: for what only a reset solves, and for an unknown partition.
        StateError: for a cursor that cannot be read.
    """
    cursors = _cursors_of(pipeline, rows, only)
    keys = {name: remembered[name] for name in cursors if name in remembered}
    found = change(known, now, cursors=cursors.values(), keyed=bool(keys))
    refuse_adoption(pipeline, found)
    if not found:
        return Adoption(found)
    kind = known.get(MARK, now[MARK])
    anew = kind != now[MARK]
    forgets_keys = bool(found.ends_keys) or anew
    forgotten = keys if forgets_keys else {}
    resting = tuple(_resting(cursors, forgotten, kind, found))
    chosen = tuple(each for each in resting if only in (None, each.partition))
    return Adoption(
        change=found,
        partitions=chosen,
        remaining=tuple(each.partition for each in resting if each not in chosen),
        forgets_keys=forgets_keys,
        reads_anew=anew,
        complete=sum(cursor.complete for cursor in cursors.values()),
    )


def _resting(
    cursors: Mapping[str, Cursor], forgotten: Mapping[str, int], kind: str, found: Change
) -> Iterator[Adopted]:
    """The partitions that rest on what changed; `forgotten` counts the keys that they lose."""
    for name, cursor in cursors.items():
        if name in forgotten or _seen_again(cursor, found) != cursor:
            yield _adopted(name, cursor, forgotten.get(name, 0), kind, found)


def _cursors_of(pipeline: str, rows: Sequence[PartitionRow], only: str | None) -> dict[str, Cursor]:
    """The cursors that rest on the source. Raises ConfigError where the one chosen is not there."""
    cursors = source_cursors(rows)
    if only is not None and only not in cursors:
        raise ConfigError(
            f"pipeline {pipeline!r} has no partition {only!r}",
            remedy="`worker state show` lists them",
        )
    return cursors


def _seen_again(cursor: Cursor, found: Change) -> Cursor:
    """The cursor without what it knows of things that are elsewhere now: its pass in progress, and
    whether keys and tokens are where the config says.
    """
    after = cursor if cursor.position is None else cursor.without_pass()
    return after.evolve(
        redone=0,
        keyed=cursor.keyed and not found.has("key"),
        token_seen=cursor.token_seen and not found.has("pagination"),
    )


def _adopted(name: str, cursor: Cursor, keys_forgotten: int, kind: str, found: Change) -> Adopted:
    whole = kind in _READ_WHOLE
    after = _seen_again(cursor, found)
    if keys_forgotten and after.mark is None:
        after = after.evolve(floor=None)
    if whole and cursor.position is not None:
        after = after.evolve(pass_no=cursor.pass_no + 1)
    return Adopted(
        partition=name,
        before=cursor,
        after=after,
        keys_forgotten=0 if whole else keys_forgotten,
        records_again=cursor.received if whole else keys_forgotten,
    )


def told(pipeline: str, adoption: Adoption, *, most: int) -> Iterator[str]:
    """What will be lost or come twice, in lines for people; at most so many partitions."""
    if not adoption.change:
        yield f"pipeline {pipeline}: nothing to adopt, no cursor rests on anything that changed"
        return
    yield f"pipeline {pipeline}: {adoption.change} changed since its cursors were stored"
    for each in adoption.partitions[:most]:
        yield f"  {each}"
    if (more := len(adoption.partitions) - most) > 0:
        yield f"  and {more} more partitions (--json names them all)"
    if adoption.reads_anew:
        yield "  there is no mark of the new kind: what earlier passes brought comes again"
    if adoption.complete:
        yield (
            f"  {adoption.complete} partitions were read once and stay complete:"
            f" `worker state reset CONFIG --pipeline {pipeline}` reads them again"
        )
    if not adoption.partitions:
        yield "  no pass is in progress: nothing is lost, and nothing comes twice"
