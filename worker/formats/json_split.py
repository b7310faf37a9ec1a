r"""Cuts a large JSON page into slices of whole records without decoding it.

A decoder holds the GIL for its whole call: 48 MiB stalled the event loop for 263 ms.
So a long page is first scanned: one regular expression swallows strings and objects without inner objects or arrays in a
single step of C, and everything else one bracket at a time; the scan yields every few thousand steps.
The result says where slices of records are and what is left of the page without them (the skeleton).
The scanner only finds places. Whether a slice is valid JSON is the decoder's verdict on that slice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from worker.core.errors import BadBody
from worker.core.ports import SLICE_RECORDS, Steps

SLICE_BYTES: Final = 1024 * 1024
STEPS_PER_YIELD: Final = 2_000

_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FLAT: Final = rb'\{[^{}\[\]"]*+(?:' + _STRING + rb'[^{}\[\]"]*+)*+\}'
_TOKEN: Final = re.compile(rb"(?s)(" + _FLAT + rb")|(" + _STRING + rb")|([{}\[\],:])")
_SCALAR: Final = re.compile(rb"(?s)" + _STRING + rb"|[-+.$\w]+")
_COMMA: Final = ord(",")
_NOT_SPACE: Final = re.compile(rb"[^ \t\r\n]")


@dataclass(frozen=True, slots=True)
class Split:
    """`slices` are byte ranges of comma-separated records; `skeleton` is the page with an empty array in their place."""

    skeleton: bytes
    slices: tuple[tuple[int, int], ...]


def split_array(
    body: bytes, keys: tuple[str, ...], most: int = SLICE_RECORDS
) -> Steps[Split | None]:
    """Finds the array under `keys` (the root for none); None when there is no array there. Raises BadBody when it never ends.

    `most`: records a slice.
    """
    start = yield from _array_start(body, keys)
    if start is None:
        return None
    slices: list[tuple[int, int]] = []
    depth, steps, rows = 0, 0, 0
    cut = position = start
    while True:
        match = _TOKEN.search(body, position)
        if match is None:
            raise BadBody("the JSON document ends inside the array of records")
        position = match.end()
        kind = match.lastindex
        byte = body[match.start()]
        if kind == 3 and byte in b"{[":
            depth += 1
        elif kind == 3 and byte in b"}]":
            if depth == 0:
                break
            depth -= 1
        elif depth == 0 and kind == 3 and byte == _COMMA:
            rows += 1
            if rows >= most or position - cut >= SLICE_BYTES:
                slices.append(_filled(body, cut, match.start()))
                cut, rows = position, 0
        steps += 1
        if steps % STEPS_PER_YIELD == 0:
            yield
    end = position - 1
    if slices or _NOT_SPACE.search(body, cut, end):
        slices.append(_filled(body, cut, end))
    return Split(bytes(body[:start]) + bytes(body[end:]), tuple(slices))


def outline(text: bytes) -> bytes:
    """A value with empty texts and zeros as its scalars: JSON if its brackets, commas and colons are in place, whatever the scalars hold."""
    return _SCALAR.sub(lambda match: b'""' if match.group()[:1] == b'"' else b"0", text)


def _filled(body: bytes, start: int, end: int) -> tuple[int, int]:
    if not _NOT_SPACE.search(body, start, end):
        raise BadBody(f"a comma without a record at byte {start}")
    return start, end


def _array_start(body: bytes, keys: tuple[str, ...]) -> Steps[int | None]:
    """Offset just behind the `[` of the array under `keys`."""
    wanted = [b'"' + key.encode() + b'"' for key in keys]
    path: list[bytes] = []  # key in force at each object depth; b"[" marks an array
    key = b""
    position = steps = 0
    while match := _TOKEN.search(body, position):
        position = match.end()
        token = match.group()
        if match.lastindex == 2:
            key = token
        elif token == b":":
            path[-1:] = [key]
        elif token == b"{":
            path.append(b"")
        elif token == b"[":
            if path == wanted:
                return position
            path.append(b"[")
        elif token in (b"}", b"]"):
            if not path:
                return None
            path.pop()
        steps += 1
        if steps % STEPS_PER_YIELD == 0:
            yield
    return None
