"""What generated encoders look up: tables of values whose bytes are remembered."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from worker.schema.binary import LAST, varint

SHORT: Final = LAST[::2]
"""The bytes of each long from 0 on that takes one or two of them. A list finds them twice as fast
as a dict."""
SMALL: Final = len(SHORT)
MEDIUM: Final = SMALL * len(LAST)
"""Longs from SMALL to here take three or four bytes."""
CACHED_VALUES: Final = 20_000
CACHED_BYTES: Final = 72
WINDOW_ROWS: Final = 4_000
WARM_WINDOWS: Final = 4  # until then a table is still being filled
REST_ROWS: Final = 200_000
WORTH: Final = 4  # rows for each text that was new


class Varints(dict[int, bytes]):
    """long -> its bytes after `prefix` (the branch of a union). Those near 0 are remembered."""

    def __init__(self, prefix: bytes = b"") -> None:
        super().__init__()
        self._prefix = prefix

    def __missing__(self, value: int) -> bytes:
        encoded = self._prefix + varint(value)
        if -SMALL < value < SMALL:
            self[value] = encoded
        return encoded


class Remembered(dict[Any, bytes]):
    """value -> its bytes, as many as CACHED_VALUES of them.

    Args:
        null: the bytes of None.
    """

    def __init__(self, encode: Callable[[Any], bytes], null: bytes | None = None) -> None:
        super().__init__()
        self._encode, self._null = encode, null

    def __missing__(self, value: Any) -> bytes:
        if value is None and self._null is not None:
            return self._null
        encoded = self._encode(value)
        if len(encoded) <= CACHED_BYTES:
            if len(self) >= CACHED_VALUES:
                self.clear()
            self[value] = encoded
        return encoded


class Weighed(dict[Any, bytes]):
    """value -> its bytes, as long as it pays to look them up.

    Looking bytes up costs half of making them, but making and remembering them costs three times as
    much. Therefore `on` is False for a while after most values were new.
    """

    __slots__ = ("_misses", "_rows", "_windows", "on")

    def __init__(self) -> None:
        super().__init__()
        self._rows = self._misses = self._windows = 0
        self.on = True

    def keep(self, value: Any, encoded: bytes) -> bytes:
        """Remembers and returns the bytes of a value that was not found."""
        self._misses += 1
        if len(encoded) <= CACHED_BYTES:
            if len(self) >= CACHED_VALUES:
                self.clear()
            self[value] = encoded
        return encoded

    def weigh(self, rows: int) -> None:
        """Decides, before `rows` records, whether it pays to look their values up."""
        self._rows += rows
        if self._rows < (WINDOW_ROWS if self.on else REST_ROWS):
            return
        self._windows += 1
        if not self.on:
            self.on, self._windows = True, 0
        elif self._misses * WORTH > self._rows and self._windows > WARM_WINDOWS:
            self.on = False
            self.clear()
        self._rows = self._misses = 0


class Texts(Weighed):
    """text -> its bytes after `prefix`."""

    __slots__ = ("_prefix",)

    def __init__(self, prefix: bytes = b"") -> None:
        super().__init__()
        self._prefix = prefix

    def __missing__(self, value: str) -> bytes:
        data = value.encode()
        return self.keep(value, self._prefix + varint(len(data)) + data)


@cache
def short_after(prefix: bytes) -> list[bytes]:
    """SHORT, each after the bytes of the branch of a union."""
    return [prefix + encoded for encoded in SHORT]
