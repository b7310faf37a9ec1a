"""Cuts the value at the records path into the JSON texts of its records. Pure.

A record gets the fields that stand around it (the key of its item, fields of its item, values of
the page) in front of its own, in its text: so whoever reads it, a decoder, a dead letter, a sample,
reads one record.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Final

import msgspec

from worker.core.errors import BadBody
from worker.core.json_kinds import describe_kind
from worker.core.model import FieldError
from worker.core.outline import path_text
from worker.core.ports import SLICE_RECORDS
from worker.formats.json_items import Items, parsed
from worker.formats.json_texts import text_reader
from worker.formats.records import SLICE_BYTES, Refusal
from worker.formats.shape import Shape

_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_BLANK: Final = b" \t\r\n"

Member = tuple[str, bytes]
"""The name of a field, and the text of its value."""


@dataclass(slots=True)
class Cut:
    """Records in a row.

    Attributes:
        texts: of each; of what is refused, as it was received.
        refused: place in `texts` -> why that is no record.
        size: bytes of the texts.
    """

    texts: list[bytes] = field(default_factory=list)
    refused: dict[int, Refusal] = field(default_factory=dict)
    size: int = 0

    @property
    def full(self) -> bool:
        """Whether it is time to decode them."""
        return len(self.texts) >= SLICE_RECORDS or self.size >= SLICE_BYTES


@dataclass(slots=True)
class Places:
    """Where the records of a page stand in it.

    Attributes:
        path: of the value.
        each: of the elements within an item; empty for none.
        keys: of the items; None where they are the elements of an array.
        ends: number of records up to the end of each item, where an item has elements.
        alone: the value is the item.
        first: number of the first item.
    """

    path: str
    each: str
    keys: Sequence[str] | None
    alone: bool
    ends: list[int] = field(default_factory=list)
    first: int = 0

    def add(self, records: int) -> None:
        """Notes how many records the next item has."""
        if self.each:
            self.ends.append(records + (self.ends[-1] if self.ends else 0))

    def __call__(self, place: int) -> str:
        """Item and element of the record at a place of the page, in words of its paths."""
        item = bisect_right(self.ends, place) if self.each else place
        shown = self.path if self.alone else f"{self.path}[{self._name(item)}]"
        if not self.each:
            return shown
        first = self.ends[item - 1] if item else 0
        return f"{shown}{'' if self.each == '@' else f'.{self.each}'}[{place - first}]"

    def _name(self, item: int) -> str:
        return (
            str(self.first + item)
            if self.keys is None
            else msgspec.json.encode(self.keys[item]).decode()
        )


class Cutter:
    """Cuts the items of one pipeline.

    Args:
        path: of the value, for places.
        absent_is_none: an item without the array at `each` has no records, instead of being
            refused.
    """

    def __init__(self, shape: Shape, path: str | None, *, absent_is_none: bool = False) -> None:
        self._shape, self._absent_is_none = shape, absent_is_none
        self._path = "$" if path in (None, "@") else path or "$"
        self._each = None if shape.each in (None, "@") else shape.each
        self._within = text_reader((*filter(None, (self._each,)), *shape.keep.values()))
        self._columns = text_reader([path_text((name,)) for name in shape.zip])
        self._row = _Row(shape)

    def places(self, items: Items) -> Places:
        """The places of the records of items, to be filled by `cut`."""
        element = self._shape.each or ("@" if self._shape.zip else "")
        return Places(self._path, element, items.keys, items.alone)

    def cut(self, items: Items, around: Sequence[Member], places: Places) -> Iterator[Cut]:
        """The records of items in runs that are quick to decode.

        Raises BadBody for parallel arrays that are not parallel.

        Args:
            around: the fields that every record of the page gets.
        """
        cut = Cut()
        for number, text in enumerate(items.texts):
            members, elements = self._elements(text, around)
            members = [*self._key(items, number), *members]
            if isinstance(elements, Refusal):
                cut.refused[len(cut.texts)] = elements
                cut.texts.append(bytes(text))
                places.add(1)
            else:
                for start in range(0, len(elements), SLICE_RECORDS):
                    self._row.add(cut, members, elements[start : start + SLICE_RECORDS])
                    if cut.full:
                        yield cut
                        cut = Cut()
                places.add(len(elements))
        yield cut

    def texts(self, items: Items, around: Sequence[Member]) -> list[bytes]:
        """The texts of all records of items."""
        cuts = self.cut(items, around, self.places(items))
        return list(chain.from_iterable(cut.texts for cut in cuts))

    def last_members(self, items: Items, around: Sequence[Member]) -> dict[str, bytes]:
        """The fields that the records of the last item get, which may have none."""
        if not items.texts:
            return {}
        members, _ = self._elements(items.texts[-1], around)
        return dict([*self._key(items, -1), *members])

    def _key(self, items: Items, number: int) -> Sequence[Member]:
        if items.keys is None:
            return ()
        return ((self._shape.map_key, msgspec.json.encode(items.keys[number])),)

    def _elements(
        self, item: Any, around: Sequence[Member]
    ) -> tuple[Sequence[Member], Sequence[Any] | Refusal]:
        """The fields that the elements of an item get, and the elements."""
        try:
            if self._shape.parse and bytes(item)[:1] == b'"':
                item = parsed(bytes(item))
            return self._found(item, around) if self._shape.divides else (around, (item,))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            return around, no_json(error)

    def _found(
        self, item: Any, around: Sequence[Member]
    ) -> tuple[Sequence[Member], Sequence[Any] | Refusal]:
        found = self._within(item)
        value = bytes(item) if self._each is None else found[0]
        kept = found if self._each is None else found[1:]
        members = [
            *((name, text) for name, text in zip(self._shape.keep, kept, strict=True) if text),
            *around,
        ]
        return members, self._elements_at(value, item)

    def _elements_at(self, value: bytes | None, item: Any) -> Sequence[Any] | Refusal:
        """The elements of an item with this value at `each`; None where it has none."""
        if value is None:
            absent = self._absent_is_none and bytes(item)[:1] == b"{"
            return () if absent else self._unfit("nothing")
        if value == b"null" or (self._shape.single and value == b'""'):
            return ()
        return self._divided(value)

    def _divided(self, value: bytes) -> Sequence[Any] | Refusal:
        """The elements of the value at `each`."""
        if self._shape.zip:
            if value[:1] == b"{":
                return self._rows(value)
            if value[:1] != b"[":
                return self._unfit(describe_kind(msgspec.json.decode(value)))
            return [row for each in _ELEMENTS(value) for row in self._rows(bytes(each))]
        if value[:1] == b"[":
            return _ELEMENTS(value)
        if value[:1] == b"{" and (self._shape.single or self._shape.alone):
            return (value,)
        return self._unfit(describe_kind(msgspec.json.decode(value)))

    def _unfit(self, found: str) -> Refusal:
        each = self._shape.each
        where = "$" if each in (None, "@") else f"$.{each}"
        allowed = "an object of parallel arrays" if self._shape.zip else "an array of records"
        key = "zip" if each is None else "each"
        return Refusal("no_elements", FieldError(where, found, f"{allowed} (source.records.{key})"))

    def _rows(self, value: bytes) -> list[bytes]:
        """The rows of parallel arrays."""
        columns = [
            self._column(name, text)
            for name, text in zip(self._shape.zip, self._columns(value), strict=True)
        ]
        sizes = {name: len(each) for name, each in zip(self._shape.zip, columns, strict=True)}
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{name} has {size}" for name, size in sizes.items())
            raise BadBody(f"the parallel arrays of source.records.zip differ in length: {told}")
        heads = [msgspec.json.encode(name) + b":" for name in self._shape.zip]
        return [
            b"{%b}" % b",".join([b"%b%b" % pair for pair in zip(heads, row, strict=True)])
            for row in zip(*columns, strict=True)
        ]

    def _column(self, name: str, text: bytes | None) -> list[Any]:
        if text is None or text[:1] != b"[":
            found = "absent" if text is None else describe_kind(msgspec.json.decode(text))
            raise BadBody(f"{name!r} of source.records.zip is no array: it is {found}")
        return _ELEMENTS(text)


class _Refused(Exception):
    """An element is no record; it becomes a reject."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.code)
        self.why = why


def no_json(error: Exception) -> Refusal:
    """Why a text is refused that no parser can take."""
    return Refusal("no_json", FieldError("$", "no JSON value", str(error)[:200]))


class _Row:
    """Makes the text of a record: its own fields behind those that it gets."""

    def __init__(self, shape: Shape) -> None:
        self._names = [msgspec.json.encode(name) + b":" for name in shape.names]
        self._added = [msgspec.json.encode(name) for name in shape.added]
        self._key_of: Mapping[str, str] = {
            **({shape.map_key: "map_key"} if shape.map_key else {}),
            **dict.fromkeys(shape.keep, "keep"),
            **dict.fromkeys(shape.envelope, "envelope"),
        }

    def add(self, cut: Cut, members: Sequence[Member], elements: Sequence[Any]) -> None:
        """Adds the records that elements of one item are."""
        texts = list(map(bytes, elements))
        if self._names:
            texts = self._each(cut, texts, self._named)
        if members:
            if self._may_be_taken(texts):
                texts = self._each(cut, texts, partial(self._checked, members))
            else:
                head = joined(members)
                texts = [_spliced(head, text) for text in texts]
        cut.texts += texts
        cut.size += sum(map(len, texts))

    def _may_be_taken(self, texts: Sequence[bytes]) -> bool:
        """Whether a record may have a field of its own under a name that it gets."""
        spelled = (*self._added, b"\\u")
        return any(name in text for name in spelled for text in texts)

    def _each(self, cut: Cut, texts: list[bytes], make: Callable[[bytes], bytes]) -> list[bytes]:
        """What `make` makes of each text; of one that it refuses, the text itself."""
        made = []
        for place, text in enumerate(texts, len(cut.texts)):
            try:
                made.append(text if place in cut.refused else make(text))
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
                cut.refused[place] = no_json(error)
                made.append(text)
            except _Refused as refused:
                cut.refused[place] = refused.why
                made.append(text)
        return made

    def _named(self, text: bytes) -> bytes:
        """An array as an object of its names, and one value under the only name."""
        if text[:1] == b"[":
            values = [bytes(each) for each in _ELEMENTS(text)]
        elif text[:1] != b"{" and len(self._names) == 1:
            values = [text]
        else:
            return text
        if len(values) > len(self._names):
            allowed = f"at most {len(self._names)} (source.records.names)"
            error = FieldError("$", f"an array of {len(values)} values", allowed)
            raise _Refused(Refusal("more_than_names", error))
        pairs = zip(self._names, values, strict=False)
        return b"{%b}" % b",".join([b"%b%b" % pair for pair in pairs])

    def _checked(self, members: Sequence[Member], text: bytes) -> bytes:
        """The record, which must not have a field of its own under a name that it gets."""
        own = _MEMBERS(text) if text[:1] == b"{" else {}
        left = []
        for name, value in members:
            if name not in own:
                left.append((name, value))
            elif not _same(bytes(own[name]), value):
                error = FieldError(
                    "$." + path_text((name,)),
                    "a value of the record itself under this name",
                    f"none beside that of source.records.{self._key_of[name]}, unless it is equal",
                )
                raise _Refused(Refusal("field_taken", error))
        return _spliced(joined(left), text) if left else text


def joined(members: Sequence[Member]) -> bytes:
    """Fields as they stand in an object."""
    return b",".join([b"%b:%b" % (msgspec.json.encode(name), text) for name, text in members])


def _spliced(head: bytes, text: bytes) -> bytes:
    """An object with further fields in front; what is no object is left to whoever decodes it."""
    if text[:1] != b"{":
        return text
    rest = text[1:]
    if rest[:1] in b"} \t\r\n" and rest.lstrip(_BLANK)[:1] == b"}":
        return b"{%b}" % head
    return b"{%b,%b" % (head, rest)


def _same(own: bytes, value: bytes) -> bool:
    """Whether two texts of values say the same: a number may stand in a key as text."""
    if own == value:
        return True
    one, two = msgspec.json.decode(own), msgspec.json.decode(value)
    return bool(one == two) or (isinstance(two, str) and type(one) is int and str(one) == two)
