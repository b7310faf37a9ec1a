"""What a page of Avro will hold in memory once it is decoded, told from records in it. Pure.

Avro has neither names nor digits, and its blocks are compressed: a page was measured to take
between 2 times its body (long texts, not compressed) and 13 times (flights, deflate), 19 times
(numbers), and hundreds of times where all records are alike (docs/benchmarks.md). So some records
are decoded from blocks all over the body, and the objects that they become are weighed one by one;
the blocks say how many records there are. That takes 0.7 to 5 ms a page.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

SAMPLED_BYTES: Final = 256 * 1024
"""Smaller bodies are not looked at: they are small, whatever they take."""
SAMPLES: Final = 4
SAMPLE_RECORDS: Final = 8
AVRO_FACTOR: Final = 16
"""Of a body that was not looked at. Between 5 and 18 were measured for records that differ."""
PLACE_BYTES: Final = 16
"""Of an object: its place in the page, and what the allocator rounds up."""
MESSAGE_BYTES: Final = 96
"""Of a message: where it stands in the body."""
SMALL_INTS: Final = range(-5, 257)
"""There is one object of each."""


@dataclass(slots=True)
class AvroSample:
    """Some records of a body.

    Attributes:
        object_bytes: of all that they are made of.
        packed_bytes: of the blocks that they were found in.
        inflated_bytes: of these blocks without compression.
    """

    count: int = 0
    object_bytes: int = 0
    packed_bytes: int = 0
    inflated_bytes: int = 0

    def add(self, records: list[Any]) -> None:
        self.count += len(records)
        self.object_bytes += sum(PLACE_BYTES + object_bytes(record) for record in records)

    def weight_of_rows(self, rows: int, body_bytes: int) -> int:
        """Of a container of so many records: its inflated blocks are kept beside them."""
        inflated = body_bytes * self.inflated_bytes // max(self.packed_bytes, 1)
        return body_bytes + inflated + rows * self.object_bytes // max(self.count, 1)

    def weight_of_messages(self, sampled_bytes: int, body_bytes: int) -> int:
        """Of a body that goes on as its first bytes begin; it is copied once."""
        objects = self.object_bytes + self.count * MESSAGE_BYTES
        return 2 * body_bytes + body_bytes * objects // max(sampled_bytes, 1)


def samples_of(
    blocks: Iterable[tuple[int, bytes]], body_bytes: int
) -> Iterator[tuple[int, bytes, bool]]:
    """The blocks of a body, and whether to look at each: at the first, and at some further on."""
    at = taken = 0
    for rows, packed in blocks:
        is_sample = rows > 0 and at * SAMPLES >= taken * body_bytes
        taken += is_sample
        at += len(packed)
        yield rows, packed, is_sample


def object_bytes(value: Any) -> int:
    """What a value takes that was decoded, and all that it is made of."""
    match value:
        case None | bool():
            return 0
        case int() if value in SMALL_INTS:
            return 0
        case msgspec.Struct():
            parts: Iterable[Any] = (getattr(value, name) for name in value.__struct_fields__)
        case dict():
            parts = (each for item in value.items() for each in item)
        case list() | tuple():
            parts = value
        case _:
            return sys.getsizeof(value) + PLACE_BYTES // 2
    return sys.getsizeof(value) + sum(map(object_bytes, parts))
