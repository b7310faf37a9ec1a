"""Whole numbers as Avro writes them: zig-zag, seven bits a byte."""

from __future__ import annotations

from typing import Final

_LOW: Final = 1 << 14
_MASK: Final = _LOW - 1


def _short(value: int) -> bytes:
    return bytes((value,)) if value < 0x80 else bytes(((value & 0x7F) | 0x80, value >> 7))


# Two 7-bit groups at a time: as the last ones, and as ones that others follow.
_LAST: Final = [_short(value) for value in range(_LOW)]
_MORE: Final = [bytes(((value & 0x7F) | 0x80, (value >> 7) | 0x80)) for value in range(_LOW)]


def varint(value: int) -> bytes:
    """Zig-zag variable-length encoding of a long."""
    value = (value << 1) ^ (value >> 63)
    if value < _LOW:
        return _LAST[value]
    if value < 1 << 28:
        return _MORE[value & _MASK] + _LAST[value >> 14]
    if value < 1 << 42:
        return _MORE[value & _MASK] + _MORE[(value >> 14) & _MASK] + _LAST[value >> 28]
    return _MORE[value & _MASK] + _MORE[(value >> 14) & _MASK] + _MORE[(value >> 28) & _MASK] + varint_unsigned(value >> 42)


def varint_unsigned(value: int) -> bytes:
    """The same without zig-zag, of what is not negative."""
    return _LAST[value] if value < _LOW else _MORE[value & _MASK] + varint_unsigned(value >> 14)
