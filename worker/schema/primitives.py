"""What generated readers call: whole numbers of any length, remembered texts, and the two ways in which data can fail them."""

from __future__ import annotations

from typing import Final

REMEMBERED: Final = 20_000
REMEMBERED_BYTES: Final = 72


class Broken(Exception):
    """The bytes are no datum of the schema. Generated code raises it bare: the walk finds out why."""


class Unresolved(Exception):
    """The datum is right, but it has no value in the reader's schema."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


END: Final = Broken

LONG: Final = tuple((value >> 1) ^ -(value & 1) for value in range(1 << 14))
"""Zig-zag value of what one or two bytes say."""


def read_unsigned(data: bytes, at: int) -> tuple[int, int]:
    """(the number before zig-zag, where the next thing begins), of at most 64 bits."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise Broken
    if value >> 64:
        raise Broken
    return value, at


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """(a long, where the next thing begins)."""
    value, at = read_unsigned(data, at)
    return (value >> 1) ^ -(value & 1), at


def read_int(data: bytes, at: int) -> tuple[int, int]:
    """(an int, where the next thing begins)."""
    value, end = read_unsigned(data, at)
    if value >> 32 or end - at > 5:
        raise Broken
    return (value >> 1) ^ -(value & 1), end


def read_size(data: bytes, at: int) -> tuple[int, int]:
    """(a length that is in the data, where it begins)."""
    value, at = read_unsigned(data, at)
    if value & 1 or (value >> 1) > len(data) - at:
        raise Broken
    return value >> 1, at


class Remembered(dict[bytes, str]):
    """UTF-8 -> text; short ones are kept, because they repeat."""

    def __missing__(self, data: bytes) -> str:
        text = data.decode()
        if len(data) <= REMEMBERED_BYTES:
            if len(self) >= REMEMBERED:
                self.clear()
            self[data] = text
        return text


class Symbols(dict[int, str]):
    """Number of a written symbol before zig-zag -> the reader's symbol. `missing`: symbols that the reader lacks."""

    def __init__(self, path: str, symbols: tuple[str, ...]) -> None:
        super().__init__()
        self.missing: dict[int, str] = {}
        self._path, self._symbols = path, symbols

    def __missing__(self, raw: int) -> str:
        if raw in self.missing:
            raise Unresolved(
                self._path,
                f"symbol {self.missing[raw]!r} is none of the reader's {', '.join(self._symbols[:20])}, which has no default",
            )
        raise Broken
