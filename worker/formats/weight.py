"""What a page will hold in memory once it is decoded, told from its body. Pure.

A value costs an object and a place for it, a record the places of all fields of its schema, given
or not, and a key of a map or of an untyped document an object and a place in a hash table: so a
page weighs between twice its body, where it is long text, and hundreds of times, where it is
`[{},{},...]` for a schema of a hundred fields. How many of each there are is counted in samples
from all over the body, which costs less than a hundredth of its decoding.

The sizes are those that CPython 3.11 was measured to take (docs/benchmarks.md), rounded up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import inspect

SAMPLES: Final = 32
"""Most samples of a body. Small ones, which cost little if they are weighed wrong, have fewer."""
FEWEST_SAMPLES: Final = 4
SAMPLE_BYTES: Final = 512
BYTES_PER_SAMPLE: Final = 16 * 1024
VALUE_BYTES: Final = 40
KEY_BYTES: Final = 80
"""Of a key that is no field of a record: its text, and its place in a hash table."""
OBJECT_BYTES: Final = 80
"""Of an object or array without a type."""
TEXT_BYTES: Final = 64
"""Of a short text that is not made a number before all of its page is decoded."""
RECORD_BYTES: Final = 24
"""Of a record beside its fields: its place in the page, and what the allocator rounds up."""


class JsonWeight:
    """Weighs bodies of JSON for one schema.

    Args:
        record_type: the msgspec type of one record.
    """

    def __init__(self, record_type: Any) -> None:
        structs = list(_structs(inspect.type_info(record_type), set()))
        self._fields = max((len(each.__struct_fields__) for each in structs), default=0)
        self._object_bytes = _object_bytes(record_type)

    def __call__(self, body: Any) -> int:
        """Bytes of the body together with the page that it becomes."""
        size, sample = len(body), sample_of(body)
        objects = sample.count(b"{")
        values = sample.count(b",") + sample.count(b"[")
        keys = max(sample.count(b":") - objects * self._fields, 0)
        found = values * VALUE_BYTES + objects * self._object_bytes + keys * KEY_BYTES
        return 2 * size + (found * size // len(sample) if sample else 0)


class CsvWeight:
    """Weighs bodies of rows for one schema.

    Args:
        record_type: the msgspec type of one record.
        delimiter: between two values.
    """

    def __init__(self, record_type: Any, delimiter: bytes) -> None:
        self._object_bytes, self._delimiter = _object_bytes(record_type), delimiter

    def __call__(self, body: Any) -> int:
        """Bytes of the body, the rows that it is found again in, and the page that it becomes."""
        size, sample = len(body), sample_of(body)
        rows = max(sample.count(b"\n"), sample.count(b"\r"))
        values = sample.count(self._delimiter) + rows
        found = values * TEXT_BYTES + rows * self._object_bytes
        return 4 * size + (found * size // len(sample) if sample else 0)


class XmlWeight:
    """Weighs bodies of XML for one schema.

    Args:
        record_type: the msgspec type of one record; Any where the whole document is kept.
    """

    def __init__(self, record_type: Any) -> None:
        self._object_bytes = _object_bytes(record_type)
        self._value_bytes = TEXT_BYTES + (0 if _is_typed(record_type) else KEY_BYTES + OBJECT_BYTES)

    def __call__(self, body: Any) -> int:
        """Bytes of the body, the JSON that it becomes, and the page that this becomes."""
        size, sample = len(body), sample_of(body)
        values = sample.count(b"<") - sample.count(b"</") + sample.count(b'="')
        objects = len(_OBJECT_ENDS.findall(sample)) + sample.count(b"/>")
        found = values * self._value_bytes + objects * self._object_bytes
        return 4 * size + (found * size // len(sample) if sample else 0)


_OBJECT_ENDS: Final = re.compile(rb">\s*</")
"""The end of an element that has no text, and so may be a record."""


def _is_typed(record_type: Any) -> bool:
    return any(True for _ in _structs(inspect.type_info(record_type), set()))


def _object_bytes(record_type: Any) -> int:
    """Of one record of a type, beside its values."""
    structs = _structs(inspect.type_info(record_type), set())
    return max((each.__basicsize__ + RECORD_BYTES for each in structs), default=OBJECT_BYTES)


def sample_of(body: Any) -> bytes:
    """Pieces from all over a body; the whole of it where it is short."""
    size = len(body)
    samples = min(max(size // BYTES_PER_SAMPLE, FEWEST_SAMPLES), SAMPLES)
    if size <= samples * SAMPLE_BYTES:
        return bytes(body)
    step = (size - SAMPLE_BYTES) / (samples - 1)
    starts = [int(number * step) for number in range(samples)]
    return b"".join([body[start : start + SAMPLE_BYTES] for start in starts])


def _structs(kind: Any, seen: set[type]) -> Iterator[type[msgspec.Struct]]:
    """The record types that a type is made of."""
    if isinstance(kind, inspect.StructType):
        if kind.cls in seen:
            return
        seen.add(kind.cls)
        yield kind.cls
        for each in kind.fields:
            yield from _structs(each.type, seen)
        return
    parts = [getattr(kind, name, None) for name in ("item_type", "key_type", "value_type")]
    for part in (*parts, *getattr(kind, "types", ()), *getattr(kind, "item_types", ())):
        if isinstance(part, inspect.Type):
            yield from _structs(part, seen)
