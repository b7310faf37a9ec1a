"""Which records of a page are new, which are known from the boundary, and which have no usable incremental value. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from worker.core.errors import OrderViolation, OutsideWindow
from worker.core.model import MISSING, BoundaryKey, Decoded, FieldError, Reject
from worker.paging.marks import Comparable
from worker.paging.spec import IncrementalSpec

Parse = Callable[[Any], tuple[Comparable, int]]


@dataclass(slots=True)
class Known:
    """What the records of a page are: `dropped` are indices that do not go on, `beyond` those after the end of a backfill."""

    fresh: bool
    keys: set[BoundaryKey] = field(default_factory=set)
    dropped: set[int] = field(default_factory=set)
    repeated: set[int] = field(default_factory=set)
    rejects: list[Reject] = field(default_factory=list)
    duplicates: int = 0
    beyond: int = 0
    highest: Comparable | None = None


def classify(
    decoded: Decoded,
    incremental: IncrementalSpec | None,
    parse: Parse | None,
    boundary: set[BoundaryKey],
    highest: Comparable | None,
    *,
    where: str,
    least: Comparable | None = None,
) -> Known:
    """Sorts the received records of a page into new, duplicate and without a usable incremental value. Takes repeated rejects out of `decoded`.

    Args:
        parse: reads an incremental value; None when records carry none.
        boundary: identities of the records that are known already.
        highest: the greatest value of the pass so far.
        where: the partition, for the OrderViolation that is raised when an ascending source is not.
        least: windows are asked for, and no key below this value is remembered. Raises OutsideWindow for such a record: taking it could
            double it, and dropping it could lose it.
    """
    known = Known(fresh=decoded.facts.count > 0 and parse is None)
    if incremental is None or parse is None:
        return known
    ascending = incremental.order == "ascending"
    rejected = {reject.index for reject in decoded.rejects}
    facts = decoded.facts
    for index, (value, key) in enumerate(zip(facts.values, facts.keys, strict=True)):
        try:
            comparable, residue = parse(value)
        except (ValueError, TypeError, OverflowError):
            if index not in rejected:
                known.dropped.add(index)
                known.rejects.append(_unusable(incremental, index, value, decoded))
            continue
        if incremental.until is not None and comparable >= incremental.until:  # type: ignore[operator]  # one value type a source
            if index not in rejected:
                known.dropped.add(index)
                known.beyond += 1
            continue
        if least is not None and comparable < least:  # type: ignore[operator]  # one value type a source
            raise OutsideWindow(
                f"record {index} has {incremental.field} = {value!r}, older than the window that was asked for",
                where=where,
                remedy="the source ignores the window or reads it otherwise: check start_param, end_param and incremental.format (zone); "
                "where it rounds the start down, set step; where records come late, incremental.overlap",
            )
        if residue:
            key = blake2b(key + residue.to_bytes(2), digest_size=16).digest()
        if ascending and highest is not None and comparable < highest:  # type: ignore[operator]  # one value type a source
            raise OrderViolation(
                f"record {index} has {incremental.field} = {value!r}, below its predecessor",
                where=where,
                remedy="sort the source by it, or set source.incremental.order: any",
            )
        highest = later(highest, comparable)
        pair = (comparable, key)
        if pair in boundary or pair in known.keys:
            if index not in rejected:
                known.dropped.add(index)
                known.duplicates += 1
            else:
                known.repeated.add(index)
        else:
            known.keys.add(pair)
            known.fresh = True
    known.highest = highest
    if known.repeated:  # a reject seen again is a duplicate too, not a second dead letter
        known.duplicates += len(known.repeated)
        decoded.rejects[:] = [
            reject for reject in decoded.rejects if reject.index not in known.repeated
        ]
    return known


def later(one: Comparable | None, other: Comparable | None) -> Comparable | None:
    """The greater of two values; None is none."""
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def _unusable(incremental: IncrementalSpec, index: int, value: Any, decoded: Decoded) -> Reject:
    found = "absent" if value is MISSING else "null" if value is None else type(value).__name__
    error = FieldError(
        f"$.{incremental.field}", found, f"a value of format {incremental.format.record}"
    )
    return Reject(index, "decode", "incremental_value", (error,), decoded.raw(index))


def without(decoded: Decoded, dropped: set[int]) -> tuple[list[Any], list[int] | None]:
    """Records and their indices but the dropped ones."""
    if not dropped:
        return decoded.records, decoded.indices
    indices = decoded.indices if decoded.indices is not None else range(len(decoded.records))
    kept = [
        (record, index)
        for record, index in zip(decoded.records, indices, strict=True)
        if index not in dropped
    ]
    return [record for record, _ in kept], [index for _, index in kept]
