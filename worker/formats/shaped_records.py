"""The items of a page become its records: as values where that is possible, else by their texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Final

from worker.core.model import Decoded
from worker.core.ports import Plan, Steps
from worker.formats.json_cut import Cutter, Member, Places, joined
from worker.formats.json_items import Items
from worker.formats.records import Batch, PageSpec, RecordDecoder
from worker.formats.typed_items import typed_items

BAD_PAGES_BEFORE_TEXTS: Final = 3


class ShapedRecords:
    """Adds the records of items to pages of one pipeline.

    Pure but for the number of pages with rejects in a row, which decides between values and texts.
    """

    def __init__(self, spec: PageSpec, plan: Plan) -> None:
        self._spec, self._cutter = (
            spec.record,
            Cutter(spec.shape, spec.records, absent_is_none=spec.missing_is_empty),
        )
        self.decoder = RecordDecoder(spec.record, plan)
        self._typed = typed_items(spec.shape, plan, absent_is_none=spec.missing_is_empty)
        self._bad_pages = 0

    def places(self, items: Items) -> Places:
        """Where the records of items stand, as far as `add` has come."""
        return self._cutter.places(items)

    def add(
        self, batch: Batch, items: Items, members: Sequence[Member], places: Places
    ) -> Steps[None]:
        """Adds the records of items.

        Raises BadBody for parallel arrays that are not parallel.

        Args:
            members: the fields that each record gets from the page.
        """
        for part, array in items.parts():
            yield from self._add(batch, part, array, members, places)
            yield
        if self._spec.last_paths:
            self.decoder.last_from(batch, self._cutter.last_members(items, members))

    def complete(
        self, batch: Batch, body: Mapping[str, Any], place: Callable[[int], str]
    ) -> Decoded:
        """The complete page, whose records stand where `place` says."""
        decoded = self.decoder.complete(batch, body)
        decoded.place = place
        decoded.rejects = [replace(each, place=place(each.index)) for each in decoded.rejects]
        self._bad_pages = self._bad_pages + 1 if decoded.rejects else 0
        return decoded

    def _add(
        self, batch: Batch, items: Items, array: bytes, members: Sequence[Member], places: Places
    ) -> Steps[None]:
        """Adds the records of items: as values where that is possible, else by their texts."""
        found = self._typed_records(items, array, members)
        if found is None:
            for cut in self._cutter.cut(items, members, places):
                yield from self.decoder.add_texts(batch, cut.texts, cut.refused)
                yield
            return
        for records in found:
            places.add(len(records))
        batch.add_source(lambda: self._cutter.texts(items, members))
        yield from self.decoder.add_typed(batch, list(chain.from_iterable(found)))

    def _typed_records(
        self, items: Items, array: bytes, members: Sequence[Member]
    ) -> list[list[Any]] | None:
        typed, most = self._typed, self._spec.record_bytes
        if typed is None or self.decoder.needs_raw or self._bad_pages >= BAD_PAGES_BEFORE_TEXTS:
            return None
        if len(array) > most and any(memoryview(text).nbytes > most for text in items.texts):
            return None
        return typed.records(array, b"{%b}" % joined(members))
