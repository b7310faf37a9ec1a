"""Bodies of several JSON values whose records are of a shape: each value is a page of its own, or
an item where no path leads into it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from worker.core.model import Decoded
from worker.core.ports import Plan, Steps
from worker.formats.json_cut import Places
from worker.formats.json_items import Items
from worker.formats.records import Batch, PageSpec
from worker.formats.shaped_page import PageReader
from worker.formats.shaped_records import ShapedRecords


class ShapedValues:
    """Adds the values of one body after the other."""

    def __init__(self, spec: PageSpec, plan: Plan) -> None:
        shape = spec.shape
        self._are_items = spec.records in (None, "@") and not (shape.envelope or shape.map_key)
        # what stands alone in a value is one item, as the value itself is without a path
        spec = replace(spec, body_paths=(), shape=replace(shape, alone=True))
        self._divides = shape.divides
        self._reader, self.records = PageReader(spec), ShapedRecords(spec, plan)

    def add(self, batch: Batch, values: Sequence[bytes]) -> Steps[None]:
        """Adds values that are JSON. Raises RecordsMissing for one without records at the path, and
        BadBody for parallel arrays that are not parallel."""
        known = _places_of(batch)
        if self._are_items:
            items = Items(values)
            places = self.records.places(items)
            places.first = known.next(batch.count, places, len(values))
            yield from self.records.add(batch, items, (), places)
            return
        for value in values:
            page = yield from self._reader.read(value)
            places = self.records.places(page.items)
            number = known.next(batch.count, places, 1)
            places.path = f"$[{number}]{places.path.removeprefix('$') and f'.{places.path}'}"
            yield from self.records.add(batch, page.items, page.members, places)

    def add_bad(self, batch: Batch) -> None:
        """Notes that the next record is a value that is no JSON."""
        _places_of(batch).next(batch.count, None, 1)

    def complete(self, batch: Batch) -> Decoded:
        """The complete page."""
        places = _places_of(batch)
        decoded = self.records.complete(batch, {}, places)
        if self._divides:
            decoded.facts.item_ends = places.ends
        return decoded


def _places_of(batch: Batch) -> _Places:
    """Where the records of a page stand; several pages are put together at once."""
    found = batch.places
    if not isinstance(found, _Places):
        found = batch.places = _Places()
    return found


class _Places:
    """Where the records of a body stand in its values, which are numbered from 0."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._parts: list[Places | None] = []
        self._values = 0

    def next(self, first: int, places: Places | None, values: int) -> int:
        """Says where the next values stand, whose first record is `first`; None for one that is a
        reject as a whole. Returns the number of the first of them."""
        self._firsts.append(first)
        self._parts.append(places)
        self._values += values
        return self._values - values

    @property
    def ends(self) -> list[int]:
        """Number of records up to the end of each item."""
        found = zip(self._firsts, self._parts, strict=True)
        return [
            first + end
            for first, places in found
            for end in ((1,) if places is None else places.ends)
        ]

    def __call__(self, place: int) -> str:
        number = bisect_right(self._firsts, place) - 1
        places = self._parts[number]
        return "" if places is None else places(place - self._firsts[number])
