"""What a JSON page holds around its records, and where these are: the facts of the page, the fields
that each record gets from it, and the items. See shape.py for the words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from worker.core.errors import BadBody
from worker.core.jsonpath import plain_keys, reader
from worker.core.ports import SLICE_RECORDS, Steps
from worker.formats.envelope import Envelope, build_envelope, build_facts
from worker.formats.json_cut import Member
from worker.formats.json_items import NONE, Items, Unfit, items_of
from worker.formats.json_repeats import RecordsPath
from worker.formats.json_split import Split, is_one_value, split_array
from worker.formats.json_texts import text_reader
from worker.formats.missing import missing_records
from worker.formats.pace import Pace
from worker.formats.records import PageSpec

_BLANK: Final = b" \t\r\n"
_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Page(NamedTuple):
    """A page before its records are decoded.

    Attributes:
        facts: the value at each path that is asked for.
        members: the fields that each record gets from the page.
        null: null stands in place of the records.
    """

    facts: dict[str, Any]
    members: Sequence[Member]
    items: Items
    null: bool = False


class PageReader:
    """Reads the pages of one pipeline. Pure but for the pace of the pages before."""

    def __init__(self, spec: PageSpec) -> None:
        shape = spec.shape
        self._spec, self._shape = spec, shape
        self._keys = () if spec.records is None else plain_keys(spec.records)
        self._find_value = _value_finder(spec.records)
        self._repeats = RecordsPath(self._keys) if self._keys else None
        self._facts = _facts_finder(spec.body_paths)
        self._list = None if shape.map_key else _list_finder(spec)
        self._around = text_reader(tuple(shape.envelope.values()))
        self._pace = Pace()

    def read(self, text: Any) -> Steps[Page]:
        """What a page holds.

        Raises:
            BadBody: text in place of the records holds no JSON, or a key stands twice.
            RecordsMissing: there is no value that holds records.
            msgspec.DecodeError, RecursionError: a parser cannot take the page, and not only because
                of single items.
        """
        try:
            page = yield from self._listed(text)
            if page is None:
                yield
                page = self._found(text)
        except (msgspec.DecodeError, RecursionError):
            page = yield from self._salvaged(text)
            if page is None:
                raise
        return page

    def _listed(self, text: Any) -> Steps[Page | None]:
        """A page whose items are the elements of an array; None for any other."""
        if (shape := self._list) is None:
            return None
        if not self._pace.allows(text):
            return (yield from self._split(text, SLICE_RECORDS))
        try:
            page = self._pace.timed(shape.decode, text)
        except msgspec.ValidationError:
            return None
        records = shape.records(page)
        if not isinstance(records, list):
            return None
        if self._repeats is not None:
            self._repeats.check(text, records)
        return Page(shape.facts_of(page), self._members(text), Items(records, size=len(text)))

    def _split(self, text: Any, most: int) -> Steps[Page | None]:
        """The same step by step, in slices of so many items; slices of one need be no JSON."""
        split = yield from split_array(text, self._keys or (), most)
        if split is None:
            return None
        items: list[Any] = []
        for start, end in split.slices:
            part = bytes(text[start:end]).strip(_BLANK)
            items += [part] if most == 1 else _ELEMENTS(b"[%b]" % part)
            if most > 1 or len(items) % SLICE_RECORDS == 0:
                yield
        return self._around_of(split, items)

    def _around_of(self, split: Split, items: Sequence[Any]) -> Page:
        """The page of items that were cut out of it."""
        rest = split.skeleton
        if self._repeats is not None:
            self._repeats.check(rest, None)
        return Page(self._facts(rest), self._members(rest), Items(items))

    def _salvaged(self, text: Any) -> Steps[Page | None]:
        """A page with an item that no parser takes (too deep, a lone surrogate); None when more is
        bad than items."""
        if self._list is None:
            return None
        try:
            page = yield from self._split(text, 1)
            for part, _ in page.items.parts() if page is not None else ():
                yield
                if not all(map(is_one_value, part.texts)):
                    return None
        except (msgspec.DecodeError, RecursionError, BadBody):
            return None  # the error of the whole page says more: its place is one in the page
        return page

    def _found(self, text: Any) -> Page:
        """A page by its paths, one after the other."""
        value = self._find_value(text)
        if self._repeats is not None:
            self._refuse_repeats(self._repeats, value, text)
        items = self._items(value, text)
        return Page(self._facts(text), self._members(text), items, value == b"null")

    def _refuse_repeats(self, repeats: RecordsPath, value: bytes | None, text: Any) -> None:
        if value is not None and value[:1] == b"[":
            repeats.check(text, [])
        else:
            repeats.check_around(text)

    def _members(self, text: Any) -> Sequence[Member]:
        names = self._shape.envelope
        found = zip(names, self._around(text), strict=True)
        return [(name, value) for name, value in found if value is not None]

    def _items(self, value: bytes | None, text: Any) -> Items:
        if value is None:
            none = self._shape.single or self._spec.missing_is_empty
            if none and bytes(text[:1]) == b"{":
                return NONE
            document = msgspec.json.decode(text)
            if self._shape.hollow and _ends_in_nothing(document, self._keys or ()):
                return NONE
            raise missing_records(self._spec.records, document)
        if value == b"null":
            return NONE
        try:
            return items_of(value, self._shape)
        except Unfit as unfit:
            document = msgspec.json.decode(text)
            raise missing_records(self._spec.records, document, unfit.why) from unfit


def _ends_in_nothing(document: Any, keys: Sequence[str]) -> bool:
    """Whether the last element that is there on the way has no elements in it."""
    for key in keys:
        if not isinstance(document, dict) or key not in document:
            break
        document = document[key]
    if isinstance(document, dict):
        return all(name.startswith("@") for name in document)
    return document in (None, "")


def _list_finder(spec: PageSpec) -> Envelope | None:
    """The typed form of pages whose items are the elements of an array; None where a path is more
    than keys, and where paths overlap."""
    keys = () if spec.records is None else plain_keys(spec.records) or None
    facts = {path: plain_keys(path) or () for path in spec.body_paths}
    if keys is None or not all(facts.values()):
        return None
    return build_envelope(keys, facts, list[msgspec.Raw], _decoder_of)


def _decoder_of(form: Any) -> Callable[[Any], Any]:
    return msgspec.json.Decoder(form).decode


def _value_finder(path: str | None) -> Callable[[Any], bytes | None]:
    """A function from the text of a page to that of the value at the path; None for none."""
    if path in (None, "@"):
        return lambda text: bytes(msgspec.json.decode(text, type=msgspec.Raw))
    texts = text_reader((path or "@",))

    def find(text: Any) -> bytes | None:
        found = texts(text)[0]
        # a path that is more than keys cannot tell null from absent
        return None if found == b"null" and not plain else found

    plain = plain_keys(path or "@")
    return find


def _facts_finder(paths: Sequence[str]) -> Callable[[Any], dict[str, Any]]:
    """A function from the text of a page to the value at each path."""
    readers = {path: reader(path) for path in paths}
    keys = {path: plain_keys(path) or () for path in paths}
    typed = build_facts(keys) if all(keys.values()) else None

    def find(text: Any) -> dict[str, Any]:
        if not readers:
            return {}
        try:
            if typed is not None:
                return typed(text)
        except msgspec.ValidationError:  # what is no object stands on the way of a path
            pass
        document = msgspec.json.decode(text)
        return {path: read(document) for path, read in readers.items()}

    return find
