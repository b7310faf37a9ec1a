"""Which records of a page are new, which are known already, and which have no usable incremental
value. Pure.

Keys are remembered where a later request may bring their records again. That is all of a pass as
long as they are few (`PagingSpec.few`), so that a source may round its bound down a little; of
more, it is those that lie where the next bound reaches.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

import msgspec

from worker.core.errors import BelowBound, KeyNotUnique, OrderViolation, OutsideWindow
from worker.core.identities import digest16, may_repeat
from worker.core.json_kinds import describe_kind
from worker.core.model import MISSING, BoundaryKey, Decoded, FieldError, Reject
from worker.paging.marks import Comparable
from worker.paging.memory import Boundary, at_least
from worker.paging.spec import IncrementalSpec

Parse = Callable[[Any], tuple[Comparable, int]]
"""Reads an incremental value: its comparable form, and the digits that are finer than that form."""


class Known(msgspec.Struct):
    """What the records of a page are.

    Attributes:
        fresh: whether any record is new.
        keys: identities to remember.
        dropped: indices of records that do not go on.
        repeated: indices of rejects that were rejected before: duplicates too, and no second dead
            letters.
        rejects: records without a usable incremental value.
        duplicates: number of records that are known already, the repeated rejects included.
        beyond: number of records after the end of what was asked for.
        below: number of records before its beginning that are left out.
        late: number of records before its beginning that are taken.
        all_below: whether every record lies before its beginning.
        highest: the greatest value of the pass so far.
        values: the comparable value of each record, None where it has none; empty where records
            have no order.
    """

    fresh: bool = False
    keys: set[BoundaryKey] = msgspec.field(default_factory=set)
    dropped: set[int] = msgspec.field(default_factory=set)
    repeated: set[int] = msgspec.field(default_factory=set)
    rejects: list[Reject] = msgspec.field(default_factory=list)
    duplicates: int = 0
    beyond: int = 0
    below: int = 0
    late: int = 0
    all_below: bool = False
    highest: Comparable | None = None
    values: Sequence[Comparable | None] = ()

    def drop(self, index: int, rejected: Set[int]) -> None:
        """The record at the index, or the reject there, is known already."""
        self.duplicates += 1
        (self.repeated if index in rejected else self.dropped).add(index)

    def leave_beyond(self, index: int, rejected: Set[int]) -> None:
        """The record at the index comes after the end; a reject stays one."""
        if index not in rejected:
            self.dropped.add(index)
            self.beyond += 1

    def kept(self, decoded: Decoded) -> Decoded:
        """The page without the records that do not go on, with all its rejects."""
        if not (self.dropped or self.repeated or self.rejects):
            return decoded
        records, indices = self._without_dropped(decoded)
        rejects = [each for each in decoded.rejects if each.index not in self.repeated]
        return Decoded(
            records, indices, rejects + self.rejects, decoded.facts, decoded.raw, decoded.place
        )

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


class Range(msgspec.Struct, frozen=True):
    """What a pass asked for, and what is known of it.

    Attributes:
        least: no record is below this value unless it is known; None where nothing can be compared.
        windowed: time windows are asked for.
        boundary: identities of the records that are known already.
        highest: the greatest value of the pass so far.
        reach: says for a value that the pass has come to the least value that a later request asks
            for; None where every key is to be remembered.
        many: so many records came in the pass that keys are remembered only where they can matter.
        where: the partition, for errors.
    """

    least: Comparable | None
    windowed: bool
    boundary: Boundary
    highest: Comparable | None
    reach: Callable[[Comparable], Comparable | None] | None
    many: bool
    where: str

    def remembered_from(self, highest: Comparable) -> Comparable | None:
        """The least value whose keys are worth remembering when the pass has come to `highest`;
        None: all are.
        """
        return self.reach(highest) if self.many and self.reach is not None else None


class Classifier:
    """Sorts the received records of pages by their incremental value and their identity."""

    def __init__(self, incremental: IncrementalSpec) -> None:
        self._incremental = incremental
        self._parse = incremental.format.parser()
        self._column = incremental.format.column()
        self._ascending = incremental.order == "ascending"

    def classify(self, decoded: Decoded, asked: Range) -> Known:
        """What the records of a page are.

        Raises:
            OrderViolation: an ascending source sent a value below its predecessor.
            BelowBound, OutsideWindow: a value is below what was asked for; taking the record could
                double it, and dropping it could lose it.
        """
        values = None if self._column is None else self._column(decoded.facts.values)
        if values and self._runs_on(values, decoded, asked):
            return self._all_behind(values, decoded, asked)
        return self._one_by_one(values, decoded, asked)

    # -- the usual page of an ascending source -----------------------------------------------------

    def _runs_on(self, values: list[int], decoded: Decoded, asked: Range) -> bool:
        """Whether the page is in order and lies behind what came before."""
        first, until = values[0], self._incremental.until
        return (
            self._ascending
            and asked.reach is not None
            and (asked.highest is None or first >= asked.highest)  # type: ignore[operator]
            and (asked.least is None or first >= asked.least)  # type: ignore[operator]
            and (until is None or values[-1] < until)  # type: ignore[operator]
            and values == sorted(values)
            and not may_repeat(decoded.facts.keys)
        )

    def _all_behind(self, values: list[int], decoded: Decoded, asked: Range) -> Known:
        """Only records of values up to the greatest that is remembered can be known."""
        known = Known(highest=values[-1], values=values)
        keys, boundary = decoded.facts.keys, asked.boundary
        rejected = {reject.index for reject in decoded.rejects}
        compared = 0 if boundary.top is None else bisect_right(values, boundary.top)
        for index in range(compared):
            if (values[index], keys[index]) in boundary:
                known.drop(index, rejected)
        known.fresh = known.duplicates < len(values)
        least = asked.remembered_from(values[-1])
        start = 0 if least is None else bisect_left(values, least)
        known.keys = set(zip(values[start:], keys[start:], strict=True))
        return known

    # -- any page ----------------------------------------------------------------------------------

    def _one_by_one(self, values: list[int] | None, decoded: Decoded, asked: Range) -> Known:
        known = Known(highest=asked.highest)
        rejected = {reject.index for reject in decoded.rejects}
        until = self._incremental.until
        found: list[Comparable | None] = []
        new: dict[BoundaryKey, int] = {}  # the place of each
        for index, (comparable, key) in enumerate(self._readable(values, decoded, known, rejected)):
            found.append(comparable)
            if comparable is None:
                continue
            if until is not None and comparable >= until:  # type: ignore[operator]
                known.leave_beyond(index, rejected)
                continue
            pair = (comparable, key)
            if pair in new:
                self._refuse_ambiguous(new[pair], index, decoded, asked)
                known.drop(index, rejected)
            elif pair in asked.boundary:
                known.drop(index, rejected)
            elif asked.least is not None and comparable < asked.least:  # type: ignore[operator]
                self._take_below(known, index, decoded, asked, rejected)
                continue
            else:
                self._refuse_unordered(known.highest, comparable, index, decoded, asked)
                new[pair] = index
            known.highest = later(known.highest, comparable)
        known.fresh, known.values = bool(new), found
        known.all_below = _lie_below(found, asked.least)
        if known.highest is not None:
            known.keys = at_least(new, asked.remembered_from(known.highest))
        return known

    def _readable(
        self,
        values: list[int] | None,
        decoded: Decoded,
        known: Known,
        rejected: Set[int],
    ) -> Iterator[tuple[Comparable | None, bytes]]:
        """(value, identity) of each record; the value is None where it cannot be read, of which
        `known` takes note.
        """
        facts = decoded.facts
        if values is not None:
            yield from zip(values, facts.keys, strict=True)
            return
        for index, (value, key) in enumerate(zip(facts.values, facts.keys, strict=True)):
            try:
                comparable, residue = self._parse(value)
            except (ValueError, TypeError, OverflowError):
                if index not in rejected:
                    known.dropped.add(index)
                    known.rejects.append(_unusable(self._incremental, index, value, decoded))
                yield None, key
                continue
            yield comparable, digest16(key + residue.to_bytes(2)) if residue else key

    def _take_below(
        self,
        known: Known,
        index: int,
        decoded: Decoded,
        asked: Range,
        rejected: Set[int],
    ) -> None:
        """A record below the bound that nobody remembers: an error, left out or taken."""
        rule = self._incremental.below
        if rule == "keep":
            known.late += 1
        elif rule == "drop" or not self._incremental.sent:
            known.below += 1
            (known.repeated if index in rejected else known.dropped).add(index)
        else:
            raise _below_bound(self._incremental, index, decoded.facts.values[index], asked)

    def _refuse_ambiguous(self, one: int, other: int, decoded: Decoded, asked: Range) -> None:
        """Raises KeyNotUnique where two records of the page have the same value and key, and are
        not the same.
        """
        contents = decoded.facts.contents
        if contents and contents[one] != contents[other]:
            raise KeyNotUnique(
                f"records {one} and {other} of a page have the same {self._incremental.field} and "
                "the same key, and different contents",
                where=asked.where,
                remedy="add to source.key what tells them apart",
            )

    def _refuse_unordered(
        self,
        highest: Comparable | None,
        comparable: Comparable,
        index: int,
        decoded: Decoded,
        asked: Range,
    ) -> None:
        if self._ascending and highest is not None and comparable < highest:  # type: ignore[operator]
            value = decoded.facts.values[index]
            raise _unordered(self._incremental, index, value, asked.where)


def _lie_below(values: Sequence[Comparable | None], least: Comparable | None) -> bool:
    """Whether there are values, and all of them are below the least one that was asked for."""
    if least is None or None in values:
        return False
    return bool(values) and max(values) < least  # type: ignore[type-var, operator]


def later(one: Comparable | None, other: Comparable | None) -> Comparable | None:
    """The greater of two values; None is none."""
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def _below_bound(
    incremental: IncrementalSpec, index: int, value: Any, asked: Range
) -> BelowBound | OutsideWindow:
    """The error of a record below the bound."""
    record = f"record {index} has {incremental.field} = {value!r}"
    if asked.windowed:
        return OutsideWindow(
            f"{record}, older than the window that was asked for",
            where=asked.where,
            remedy="the source ignores the window or reads it otherwise: check start_param, "
            "end_param and incremental.format (zone); where it rounds the start down, set step; "
            "where records come late, incremental.overlap",
        )
    bound = incremental.format.text(asked.least) if asked.least is not None else ""
    return BelowBound(
        f"{record}, below the bound {bound} that {incremental.sent} asked for, and it is not known "
        "from earlier passes",
        where=asked.where,
        remedy=f"the source ignores {incremental.sent} or reads it otherwise: check its name and "
        "incremental.format; where the source rounds it down set incremental.step (like 1d), where "
        "records come late incremental.overlap or below_bound: keep, and below_bound: drop where "
        "older records are to be left out",
    )


def _unordered(incremental: IncrementalSpec, index: int, value: Any, where: str) -> OrderViolation:
    return OrderViolation(
        f"record {index} has {incremental.field} = {value!r}, below its predecessor",
        where=where,
        remedy="sort the source by it, or set source.incremental.order: any",
    )


def _unusable(incremental: IncrementalSpec, index: int, value: Any, decoded: Decoded) -> Reject:
    found = "absent" if value is MISSING else describe_kind(value)
    allowed = (
        f"a value of format {incremental.format.record}; source.incremental.format.record, or "
        "decode.times of that field, says how the source writes it"
    )
    error = FieldError(f"$.{incremental.field}", found, allowed)
    return Reject(
        index,
        "decode",
        "incremental_value",
        (error,),
        decoded.raw(index),
        place=decoded.place(index),
    )
