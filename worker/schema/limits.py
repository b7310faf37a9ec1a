"""How much data may make a reader do. What passes them is refused, never half read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes.

    Attributes:
        header: metadata of a container, all together.
        block: a block of a container, as it stands in the file.      inflated: the same, decompressed.
        rows: records of a block.
        datum: one datum.
        items: items and entries of all arrays and maps of one datum; records in them, and values without bytes, count too (see sizes.py).
        empty: values in records and items that take no bytes at all, of a whole file: a few bytes can ask for any number of them.
        depth: how often records may nest in records, where types are recursive.
    """

    header: int = 4 * 1024 * 1024
    block: int = 64 * 1024 * 1024
    inflated: int = 64 * 1024 * 1024
    rows: int = 10_000_000
    datum: int = 64 * 1024 * 1024
    items: int = 1_000_000
    empty: int = 1_000_000
    depth: int = 64
