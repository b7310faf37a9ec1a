"""How much data can make a reader do. Data beyond a limit is refused, never read in part."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of readers; sizes are in bytes.

    Attributes:
        header: all metadata of a container.
        block: a block of a container, as it stands in the file.
        inflated: a block of a container, decompressed.
        rows: the records of a block.
        datum: one datum.
        items: the items and entries of all arrays and maps of one datum; records in them, and
            values that take no bytes, count too (see sizes.py).
        empty: the values in records and items that take no bytes at all, in a whole file: a few
            bytes can stand for any number of them.
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
