"""The items in the value at the records path: the elements of an array, the values of an object, or
the value itself. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from worker.core.errors import BadBody
from worker.core.json_kinds import describe_kind
from worker.formats.records import parts_of
from worker.formats.shape import Shape

_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_TEXT: Final = msgspec.json.Decoder(str).decode
_EMPTY_ARRAY: Final = b"[]"


class Unfit(Exception):
    """The value at the records path has no items of the shape.

    Args:
        why: what was found, and what is needed.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Items(NamedTuple):
    """The items of a value.

    Attributes:
        texts: of each, as JSON.
        keys: under which they stand; None where they are the elements of an array, or the value.
        listed: they are the source's own list, which its positions and totals count.
        size: bytes of all of them, about.
        alone: the value is the only one.
    """

    texts: Sequence[Any]
    keys: Sequence[str] | None = None
    listed: bool = True
    size: int = 0
    alone: bool = False

    def parts(self) -> Iterator[tuple[Items, bytes]]:
        """The same in parts that are quick to decode, each with the JSON array of its items."""
        start = 0
        for texts, array in parts_of(self.texts, self.size):
            end = start + len(texts)
            keys = None if self.keys is None else self.keys[start:end]
            yield Items(texts, keys, self.listed, len(array)), array
            start = end


NONE: Final = Items(())


def items_of(value: bytes, shape: Shape) -> Items:
    """The items of a value that is not null.

    Raises Unfit for a value of another kind, and BadBody for text that holds no JSON, and for a key
    that stands twice in an object of records.
    """
    if shape.parse and value[:1] == b'"':
        value = _parsed_value(value)
    if value == b"null" or (shape.single and value == b'""'):
        return NONE
    if shape.map_key:
        return _of_object(value)
    if value[:1] == b"[":
        return Items(_ELEMENTS(value), size=len(value))
    if value[:1] == b"{":
        return _alone(value, shape)
    raise _unfit(value, shape)


def _alone(value: bytes, shape: Shape) -> Items:
    """The items of an object, which may be the only one, or the columns of the records."""
    if shape.zip and shape.each is None:
        return Items((value,), listed=False, alone=True)
    if not (shape.single or shape.alone):
        raise _unfit(value, shape)
    return Items((value,), alone=True)


def _unfit(value: bytes, shape: Shape) -> Unfit:
    return Unfit(f"is {_kind(value)}, {_needed(shape)}")


def _parsed_value(value: bytes) -> bytes:
    try:
        return parsed(value)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadBody(f"the text at the records path holds no JSON: {error}") from error


def parsed(value: bytes) -> bytes:
    """The JSON that a JSON text holds; empty text stays what it is.

    Raises msgspec.DecodeError and RecursionError for text that holds none.
    """
    text = _TEXT(value).strip()
    return bytes(msgspec.json.decode(text, type=msgspec.Raw)) if text else b'""'


def _of_object(value: bytes) -> Items:
    if value[:1] == b"[" and not _ELEMENTS(value):
        return NONE  # an empty map, as some languages write it
    if value[:1] != b"{":
        raise Unfit(f"is {_kind(value)}, an object is needed (source.records.map_key)")
    members = _MEMBERS(value)
    _refuse_repeated(value, members)
    return Items(list(members.values()), list(members), size=len(value))


def _refuse_repeated(value: bytes, members: dict[str, Any]) -> None:
    """Raises BadBody for a key that stands twice: a parser takes only the last one.

    Keys and values of an object without white space, or with one blank in the usual places, are as
    long as it is.
    """
    inner = sum(map(len, map(msgspec.json.encode, members))) + sum(
        memoryview(each).nbytes for each in members.values()
    )
    count = len(members)
    if len(value) - inner - 2 in (max(2 * count - 1, 0), max(4 * count - 2, 0)):
        return
    pairs = json.loads(value, object_pairs_hook=_Pairs, parse_int=str, parse_float=str)
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise BadBody(
                f"the key {key!r} stands twice among the records, and a parser takes only the last",
                remedy="ask whoever runs the source for an array of its records",
            )


class _Pairs(list[tuple[str, Any]]):
    """An object as it is written: its keys and values, repeated ones too."""


def _kind(value: bytes) -> str:
    try:
        return describe_kind(msgspec.json.decode(value))
    except (msgspec.DecodeError, RecursionError):
        return "no JSON value"


def _needed(shape: Shape) -> str:
    if shape.zip and shape.each is None:
        return "an object of parallel arrays is needed (source.records.zip)"
    if shape.single:
        return "an array or an object is needed (source.records.single)"
    return "an array is needed"
