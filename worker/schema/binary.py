"""Whole numbers as Avro writes them: zig-zag, seven bits per byte.

Source: Avro specification, "Primitive Types" under "Binary Encoding".
"""

from __future__ import annotations

from typing import Final

_LOW: Final = 1 << 14
_MASK: Final = _LOW - 1


def _short(value: int) -> bytes:
    return bytes((value,)) if value < 0x80 else bytes(((value & 0x7F) | 0x80, value >> 7))


# Two groups of seven bits at a time: as the last ones, and as ones that are followed by others.
LAST: Final = [_short(value) for value in range(_LOW)]
FOLLOWED: Final = [bytes(((value & 0x7F) | 0x80, (value >> 7) | 0x80)) for value in range(_LOW)]


def varint(value: int) -> bytes:
    """The variable-length zig-zag encoding of a long."""
    value = (value << 1) ^ (value >> 63)
    if value < _LOW:
        return LAST[value]
    if value < 1 << 28:
        return FOLLOWED[value & _MASK] + LAST[value >> 14]
    if value < 1 << 42:
        return FOLLOWED[value & _MASK] + FOLLOWED[(value >> 14) & _MASK] + LAST[value >> 28]
    return (
        FOLLOWED[value & _MASK]
        + FOLLOWED[(value >> 14) & _MASK]
        + FOLLOWED[(value >> 28) & _MASK]
        + varint_unsigned(value >> 42)
    )


def varint_unsigned(value: int) -> bytes:
    """The variable-length encoding, without zig-zag, of a number from 0 on."""
    return LAST[value] if value < _LOW else FOLLOWED[value & _MASK] + varint_unsigned(value >> 14)
