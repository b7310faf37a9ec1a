"""The lists of values that pipelines find in the records of others, in the SQLite commit log."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Any, Final

import msgspec

from worker.core.found import Child, Found, Standing
from worker.core.model import Progress
from worker.state.database import Database

BATCH: Final = 200
"""So many values are looked for at once."""

At = tuple[str, str]
"""Pipeline, and the partition that brought a value."""

_OF_ORIGIN: Final = "pipeline = ? AND origin = ?"
_STANDING: Final = "list, pass_no, size, ended, ended_size"
_FOUND: Final = "list, value, carried, digest, pass_no"


def all_of(file: Database, at: At) -> Iterator[Found]:
    """All values that a partition has brought."""
    rows = file.rows(f"SELECT {_FOUND} FROM found WHERE {_OF_ORIGIN} ORDER BY list, value", *at)
    return map(_found, rows)


def each_of(file: Database, at: At) -> Iterator[Found]:
    """The same, one by one, within a transaction."""
    return map(_found, file.each(f"SELECT {_FOUND} FROM found WHERE {_OF_ORIGIN}", *at))


def known(file: Database, at: At, found: Sequence[Found]) -> Iterator[Found]:
    """Those of the values that the partition has brought before, as they were."""
    for batch in _batches(found):
        yield from (_found(row) for row, *_ in _known(file, at, batch).values())


def standings(file: Database, at: At) -> dict[str, Standing]:
    """How each list stands, of what a partition brings."""
    rows = file.rows(f"SELECT {_STANDING} FROM standings WHERE {_OF_ORIGIN}", *at)
    return {row[0]: Standing(*row) for row in rows}


def change(file: Database, db: sqlite3.Connection, at: At, step: Progress) -> None:
    """Takes what a step has found, in the transaction of the caller."""
    for batch in _batches(step.found):
        _keep(file, db, at, batch)
    if step.list_over:
        _end_pass(file, db, at, step.list_over)


def restore(
    file: Database,
    db: sqlite3.Connection,
    at: At,
    found: Iterable[Found],
    standing: Iterable[Standing],
) -> None:
    """Puts back what a partition had brought, in the transaction of the caller."""
    _insert_standings(db, at, standing)
    for batch in _batches(found):
        _keep(file, db, at, batch)


def _batches(found: Iterable[Found]) -> Iterator[list[Found]]:
    """The values a few at a time: however many there are, they take no more memory at once."""
    left = iter(found)
    while batch := list(islice(left, BATCH)):
        yield batch


def _keep(file: Database, db: sqlite3.Connection, at: At, found: Sequence[Found]) -> None:
    """A value that is new, or comes back, gets a number behind all others, and so does a change."""
    before, lists = _known(file, at, found), standings(file, at)
    numbers: dict[str, Iterator[int]] = {}
    rows = []
    for each in found:
        row = before.get((each.list, each.value))
        if row is not None and row[0] == (
            *(each.list, each.value, _carried(each), each.digest, each.pass_no),
        ):
            continue
        if each.list not in numbers:
            numbers[each.list] = count(_last_number(file, at[0], each.list) + 1)
        number, changed = next(numbers[each.list]), 0
        changed = number
        if row is not None:
            (*_, digest, pass_no), old_number, old_changed = row
            returned = pass_no < lists.get(each.list, Standing(each.list)).pass_no
            number = number if returned else old_number
            changed = changed if returned or digest != each.digest else old_changed
        rows.append(
            (
                *(at[0], each.list, at[1], each.value, _carried(each), each.digest),
                *(each.pass_no, number, changed),
            )
        )
    db.executemany("INSERT OR REPLACE INTO found VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _last_number(file: Database, pipeline: str, name: str) -> int:
    of_list = "FROM found WHERE pipeline = ?1 AND list = ?2"
    ((last,),) = file.rows(
        f"SELECT max(coalesce((SELECT max(number) {of_list}), 0),"
        f" coalesce((SELECT max(changed) {of_list}), 0))",
        *(pipeline, name),
    )
    return int(last)


def _end_pass(file: Database, db: sqlite3.Connection, at: At, pass_no: int) -> None:
    """A pass has brought all that it has."""
    sizes = dict(
        file.rows(
            f"SELECT list, count(*) FROM found WHERE {_OF_ORIGIN} AND pass_no = ? GROUP BY list",
            *(*at, pass_no),
        )
    )
    before = standings(file, at)
    names = [name for (name,) in file.rows("SELECT list FROM lists WHERE pipeline = ?", at[0])]
    _insert_standings(
        db,
        at,
        (
            before.get(name, Standing(name)).after(pass_no, sizes.get(name, 0))
            for name in {*names, *sizes, *before}
        ),
    )


def _insert_standings(db: sqlite3.Connection, at: At, standing: Iterable[Standing]) -> None:
    db.executemany(
        "INSERT OR REPLACE INTO standings VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (at[0], each.list, at[1], each.pass_no, each.size, each.ended, each.ended_size)
            for each in standing
        ),
    )


def children(
    file: Database,
    pipeline: str,
    name: str,
    *,
    after: int,
    most: int,
    by_change: bool,
    value: str | None = None,
) -> list[Child]:
    """See CommitHistory.children. A value that several partitions have brought stands where the
    last of them put it.
    """
    order = "changed" if by_change else "number"
    same = "o.pipeline = f.pipeline AND o.list = f.list AND o.value = f.value"
    later = f"+o.{order} > f.{order}"  # the sign keeps SQLite from walking the index of all others
    there = (
        f"SELECT 1 FROM found o LEFT JOIN standings s USING (pipeline, origin, list) WHERE {same}"
        " AND o.pass_no >= coalesce(s.{}, 0)"
    )
    rows = file.rows(
        f"SELECT f.value, f.carried, f.digest, f.number, f.changed,"
        f" EXISTS ({there.format('pass_no')}), EXISTS ({there.format('ended')})"
        f" FROM found f WHERE f.pipeline = ? AND f.list = ? AND f.{order} > ?"
        f"{'' if value is None else ' AND f.value = ?'}"
        f" AND NOT EXISTS (SELECT 1 FROM found o WHERE {same} AND {later})"
        f" ORDER BY f.{order} LIMIT ?",
        *(pipeline, name, after, *(() if value is None else (value,)), most),
    )
    return [
        Child(
            value=text,
            carried=msgspec.json.decode(carried, type=tuple[str, ...]),
            digest=digest,
            number=number,
            changed=changed,
            there=bool(is_there),
            in_last=bool(in_last),
        )
        for text, carried, digest, number, changed, is_there, in_last in rows
    ]


def standings_of(file: Database, pipeline: str, name: str) -> dict[str, Standing]:
    """See CommitHistory.standings."""
    rows = file.rows(
        f"SELECT origin, {_STANDING} FROM standings WHERE pipeline = ? AND list = ?", pipeline, name
    )
    return {origin: Standing(*row) for origin, *row in rows}


_Key = tuple[str, str]
_Known = tuple[tuple[Any, ...], int, int]


def _known(file: Database, at: At, found: Sequence[Found]) -> dict[_Key, _Known]:
    """(list, value) -> its row, number and change, of those that are there."""
    by_list: Mapping[str, list[str]] = defaultdict(list)
    for each in found:
        by_list[each.list].append(each.value)
    there: dict[_Key, _Known] = {}
    for name, values in by_list.items():
        marks = ", ".join("?" * len(values))
        for *row, number, changed in file.rows(
            f"SELECT {_FOUND}, number, changed FROM found"
            f" WHERE pipeline = ? AND list = ? AND value IN ({marks}) AND origin = ?",
            *(at[0], name, *values, at[1]),
        ):
            there[name, row[1]] = tuple(row), number, changed
    return there


def _carried(found: Found) -> str:
    return msgspec.json.encode(found.carried).decode()


def _found(row: Sequence[Any]) -> Found:
    name, value, carried, digest, pass_no = row
    return Found(name, value, msgspec.json.decode(carried, type=tuple[str, ...]), digest, pass_no)
