"""What generated readers call: whole numbers of any length, remembered texts, and the two errors of
data that cannot be read."""

from __future__ import annotations

from typing import Final

REMEMBERED: Final = 20_000
REMEMBERED_BYTES: Final = 72


class Broken(Exception):
    """The bytes are no datum of the schema. Generated code raises it without a message, because the
    walk finds the reason."""


class Unresolved(Exception):
    """The datum is valid, but it has no value in the reader's schema."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


END: Final = Broken

LONG: Final = tuple((value >> 1) ^ -(value & 1) for value in range(1 << 14))
"""The numbers that one or two bytes encode, by their value before zig-zag."""


def read_unsigned(data: bytes, at: int) -> tuple[int, int]:
    """A number of at most 64 bits before zig-zag, and the offset after it.

    Raises:
        Broken: there are more bits.
        IndexError: the data ends first.
    """
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
    """A long, and the offset after it; raises as `read_unsigned` does."""
    value, at = read_unsigned(data, at)
    return (value >> 1) ^ -(value & 1), at


def read_int(data: bytes, at: int) -> tuple[int, int]:
    """An int, and the offset after it; raises as `read_unsigned` does, beyond 32 bits."""
    value, end = read_unsigned(data, at)
    if value >> 32 or end - at > 5:
        raise Broken
    return (value >> 1) ^ -(value & 1), end


def read_size(data: bytes, at: int) -> tuple[int, int]:
    """A length that the data has, and the offset after it; raises as `read_unsigned` does."""
    value, at = read_unsigned(data, at)
    if value & 1 or (value >> 1) > len(data) - at:
        raise Broken
    return value >> 1, at


class Remembered(dict[bytes, str]):
    """UTF-8 -> text. Short ones are remembered, because they repeat."""

    def __missing__(self, data: bytes) -> str:
        text = data.decode()
        if len(data) <= REMEMBERED_BYTES:
            if len(self) >= REMEMBERED:
                self.clear()
            self[data] = text
        return text


class Symbols(dict[int, str]):
    """Number of a writer's symbol before zig-zag -> the reader's symbol.

    Attributes:
        missing: number -> symbol, for those that the reader lacks.
    """

    def __init__(self, path: str, symbols: tuple[str, ...]) -> None:
        super().__init__()
        self.missing: dict[int, str] = {}
        self._path, self._symbols = path, symbols

    def __missing__(self, raw: int) -> str:
        if raw not in self.missing:
            raise Broken
        raise Unresolved(
            self._path,
            f"symbol {self.missing[raw]!r} is not one of the reader's"
            f" {', '.join(self._symbols[:20])}, and the reader's enum has no default",
        )
