"""Which records of a page are new, which are known already, and which have no usable incremental
value. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from hashlib import blake2b
from typing import Any

import msgspec

from worker.core.errors import OrderViolation, OutsideWindow
from worker.core.model import MISSING, BoundaryKey, Decoded, FieldError, Reject
from worker.paging.marks import Comparable
from worker.paging.spec import IncrementalSpec

Parse = Callable[[Any], tuple[Comparable, int]]
"""Reads an incremental value: its comparable form, and the digits that are finer than that form."""


class Known(msgspec.Struct):
    """What the records of a page are.

    Attributes:
        distinct: how many of the received records a total counts.
        fresh: whether any record is new.
        keys: identities to remember.
        dropped: indices of records that do not go on.
        repeated: indices of rejects that were rejected before: duplicates too, and no second dead
            letters.
        rejects: records without a usable incremental value.
        duplicates: number of records that are known already, the repeated rejects included.
        beyond: number of records after the end of what was asked for.
        highest: the greatest value of the pass so far.
    """

    distinct: int
    fresh: bool = False
    keys: set[BoundaryKey] = msgspec.field(default_factory=set)
    dropped: set[int] = msgspec.field(default_factory=set)
    repeated: set[int] = msgspec.field(default_factory=set)
    rejects: list[Reject] = msgspec.field(default_factory=list)
    duplicates: int = 0
    beyond: int = 0
    highest: Comparable | None = None

    def kept(self, decoded: Decoded) -> Decoded:
        """The page without the records that do not go on, with all its rejects."""
        if not (self.dropped or self.repeated or self.rejects):
            return decoded
        records, indices = self._without_dropped(decoded)
        rejects = [each for each in decoded.rejects if each.index not in self.repeated]
        return Decoded(records, indices, rejects + self.rejects, decoded.facts, decoded.raw)

    def _without_dropped(self, decoded: Decoded) -> tuple[list[Any], list[int] | None]:
        if not self.dropped:
            return decoded.records, decoded.indices
        indices = decoded.indices if decoded.indices is not None else range(len(decoded.records))
        pairs = [
            (record, index)
            for record, index in zip(decoded.records, indices, strict=True)
            if index not in self.dropped
        ]
        return [record for record, _ in pairs], [index for _, index in pairs]


def distinct_keys(decoded: Decoded, pass_no: int, boundary: Set[BoundaryKey]) -> Known:
    """The records of a page whose total is compared with distinct records, where no mark remembers
    keys anyway.
    """
    facts = decoded.facts
    keys: set[BoundaryKey] = {(pass_no, key) for key in facts.keys}
    keys -= boundary
    return Known(distinct=len(keys), fresh=facts.count > 0, keys=keys)


def classify(
    decoded: Decoded,
    incremental: IncrementalSpec,
    parse: Parse,
    boundary: Set[BoundaryKey],
    highest: Comparable | None,
    *,
    where: str,
    least: Comparable | None = None,
) -> Known:
    """Sorts the received records of a page into new, duplicate and without a usable incremental
    value.

    Args:
        boundary: identities of the records that are known already.
        highest: the greatest value of the pass so far.
        where: the partition, for errors.
        least: windows are asked for, and no key below this value is remembered.

    Raises:
        OrderViolation: an ascending source sent a value below its predecessor.
        OutsideWindow: a value is below `least`; taking the record could double it, and dropping it
            could lose it.
    """
    known = Known(distinct=decoded.facts.count)
    rejected = {reject.index for reject in decoded.rejects}
    ascending = incremental.order == "ascending"
    keys = known.keys
    for index, comparable, key in _readable(
        decoded, incremental, parse, rejected, known, where=where, least=least
    ):
        if highest is None or comparable > highest:  # type: ignore[operator]
            highest = comparable
        elif ascending and comparable < highest:  # type: ignore[operator]
            raise _unordered(incremental, index, decoded.facts.values[index], where)
        pair = (comparable, key)
        if pair in boundary or pair in keys:
            known.duplicates += 1
            (known.repeated if index in rejected else known.dropped).add(index)
        else:
            keys.add(pair)
    known.highest, known.fresh = highest, bool(keys)
    return known


def _readable(
    decoded: Decoded,
    incremental: IncrementalSpec,
    parse: Parse,
    rejected: Set[int],
    known: Known,
    *,
    where: str,
    least: Comparable | None,
) -> Iterator[tuple[int, Comparable, bytes]]:
    """(index, value, identity) of the records whose value can be read and was asked for; `known`
    takes note of the others.
    """
    facts = decoded.facts
    bounded = incremental.until is not None or least is not None
    for index, (value, key) in enumerate(zip(facts.values, facts.keys, strict=True)):
        try:
            comparable, residue = parse(value)
        except (ValueError, TypeError, OverflowError):
            if index not in rejected:
                known.dropped.add(index)
                known.rejects.append(_unusable(incremental, index, value, decoded))
            continue
        if bounded and _beyond(incremental, index, value, comparable, least, where):
            if index not in rejected:
                known.dropped.add(index)
                known.beyond += 1
            continue
        if residue:
            key = blake2b(key + residue.to_bytes(2), digest_size=16).digest()
        yield index, comparable, key


def later(one: Comparable | None, other: Comparable | None) -> Comparable | None:
    """The greater of two values; None is none."""
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def _beyond(
    incremental: IncrementalSpec,
    index: int,
    value: Any,
    comparable: Comparable,
    least: Comparable | None,
    where: str,
) -> bool:
    """Whether the value is after the end of what was asked for; raises OutsideWindow for one below
    `least`.
    """
    if incremental.until is not None and comparable >= incremental.until:  # type: ignore[operator]
        return True
    if least is not None and comparable < least:  # type: ignore[operator]
        raise OutsideWindow(
            f"record {index} has {incremental.field} = {value!r}, "
            "older than the window that was asked for",
            where=where,
            remedy="the source ignores the window or reads it otherwise: check start_param, "
            "end_param and incremental.format (zone); where it rounds the start down, set step; "
            "where records come late, incremental.overlap",
        )
    return False


def _unordered(incremental: IncrementalSpec, index: int, value: Any, where: str) -> OrderViolation:
    return OrderViolation(
        f"record {index} has {incremental.field} = {value!r}, below its predecessor",
        where=where,
        remedy="sort the source by it, or set source.incremental.order: any",
    )


def _unusable(incremental: IncrementalSpec, index: int, value: Any, decoded: Decoded) -> Reject:
    found = "absent" if value is MISSING else "null" if value is None else type(value).__name__
    error = FieldError(
        f"$.{incremental.field}", found, f"a value of format {incremental.format.record}"
    )
    return Reject(index, "decode", "incremental_value", (error,), decoded.raw(index))
