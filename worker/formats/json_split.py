r"""Cuts a large JSON page into slices of whole records without decoding it.

A decoder holds the GIL for its whole call: 48 MiB stalled the event loop for 263 ms.
So a long page is first scanned: one regular expression takes a text, or an object without inner
objects and arrays, in a single step of C, and everything else one bracket at a time; the scan
yields every few thousand steps. The result says where slices of records are, and what is left of
the page without them (the skeleton).
The scanner only finds places. The decoder decides whether a slice is valid JSON.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec

from worker.core.errors import BadBody
from worker.core.ports import SLICE_RECORDS, Steps

SLICE_BYTES: Final = 1024 * 1024
STEPS_PER_YIELD: Final = 2_000

_TEXT: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+'
_STRING: Final = _TEXT + rb'(?:"|\\?\Z)'
"""A text, also one that never ends: it would be looked for at each quote in it otherwise, which
takes hours for a body that ends in a text of quotes."""
_FLAT: Final = rb'\{[^{}\[\]"]*+(?:' + _STRING + rb'[^{}\[\]"]*+)*+\}'
_TOKEN: Final = re.compile(rb"(?s)(" + _FLAT + rb")|(" + _STRING + rb")|([{}\[\],:])")
_TEXT_GROUP: Final = 2
_PUNCTUATION_GROUP: Final = 3
_SCALAR: Final = re.compile(rb"(?s)" + _TEXT + rb'(?:"|(?P<open>\\?\Z))|[-+.$\w]+')
_NEXT: Final = re.compile(rb"[ \t\r\n\x1e]*")
_VALUE: Final = re.compile(rb"(?s)" + _FLAT + rb"|" + _STRING + rb"|[-+.\w]+|(?P<nested>[{\[])")
_COMMA: Final = ord(",")
_NESTING: Final = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_NOT_SPACE: Final = re.compile(rb"[^ \t\r\n]")
_SKIP: Final = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True, slots=True)
class Split:
    """A page in parts.

    Attributes:
        skeleton: the page with an empty array in place of its records.
        slices: byte ranges (start, end) of comma-separated records.
    """

    skeleton: bytes
    slices: tuple[tuple[int, int], ...]


def split_array(
    body: bytes, keys: tuple[str, ...], most: int = SLICE_RECORDS
) -> Steps[Split | None]:
    """Finds the array under `keys`, the root for no keys, and slices of at most `most` records.

    None when there is no array there. Raises BadBody when it never ends, or for a comma without a
    record.
    """
    start = yield from _array_start(body, keys)
    if start is None:
        return None
    begins, end = yield from _slice_begins(body, start, most)
    slices = [(begin, next_begin - 1) for begin, next_begin in pairwise(begins)]
    if slices or _NOT_SPACE.search(body, start, end):
        slices.append((begins[-1], end))
    for begin, stop in slices:
        if not _NOT_SPACE.search(body, begin, stop):
            raise BadBody(f"a comma without a record at byte {begin}")
    return Split(bytes(body[:start]) + bytes(body[end:]), tuple(slices))


def _slice_begins(body: bytes, start: int, most: int) -> Steps[tuple[list[int], int]]:
    """Where slices of the array begin whose first record begins at `start`, and where it ends."""
    begins, position = [start], start
    depth = steps = rows = 0
    while (match := _TOKEN.search(body, position)) is not None:
        position = match.end()
        steps += 1
        if steps % STEPS_PER_YIELD == 0:
            yield
        if match.lastindex != _PUNCTUATION_GROUP:
            continue
        mark = body[position - 1]
        if mark == _COMMA and depth == 0:
            rows += 1
            if rows >= most or position - begins[-1] >= SLICE_BYTES:
                begins.append(position)
                rows = 0
            continue
        depth += _NESTING.get(mark, 0)
        if depth < 0:
            return begins, position - 1
    raise BadBody("the JSON document ends inside the array of records")


def split_values(body: bytes, start: int) -> Steps[Sequence[int]]:
    """Where values begin and end that follow each other from `start` on, in turns.

    Raises BadBody for bytes that no value begins with.
    """
    places, position, steps = array("Q"), start, 0
    while (begin := _NEXT.match(body, position).end()) < len(body):  # type: ignore[union-attr]
        steps += 1
        if steps % STEPS_PER_YIELD == 0:
            yield
        value = _VALUE.match(body, begin)
        if value is None:
            raise BadBody(f"no JSON value begins at byte {begin}")
        position = value.end()
        if value.lastgroup == "nested":
            position = yield from _end_of_nested(body, begin)
        places.extend((begin, position))
    return places


def _end_of_nested(body: bytes, position: int) -> Steps[int]:
    """Where the object or array ends that begins here; the end of the body where it does not."""
    depth = steps = 0
    while (match := _TOKEN.search(body, position)) is not None:
        position = match.end()
        steps += 1
        if steps % STEPS_PER_YIELD == 0:
            yield
        if match.lastindex == _PUNCTUATION_GROUP:
            depth += _NESTING.get(body[position - 1], 0)
        if depth == 0:
            return position
    return len(body)


def outline(text: bytes) -> bytes:
    """A value with empty texts and zeros as its scalars.

    It is JSON if the brackets, commas and colons of `text` are in place, whatever its scalars are.
    """
    return _SCALAR.sub(_simplest, text)


def is_one_value(raw: bytes) -> bool:
    """Whether bytes are exactly one JSON value.

    An object, array or text counts that a parser refuses for its scalars or its depth only.
    """
    try:
        _SKIP.decode(raw)
    except RecursionError:
        return True
    except msgspec.DecodeError:
        if raw[:1] not in (b"{", b"[", b'"'):
            return False
        try:
            _SKIP.decode(outline(raw))
        except RecursionError:
            return True
        except msgspec.DecodeError:
            return False
    return True


def _simplest(scalar: re.Match[bytes]) -> bytes:
    if scalar["open"] is not None:
        return b'"'
    return b'""' if scalar[0].startswith(b'"') else b"0"


def _array_start(body: bytes, keys: tuple[str, ...]) -> Steps[int | None]:
    """Offset of what follows the `[` of the array under `keys`; None when there is none."""
    wanted = [b'"' + key.encode() + b'"' for key in keys]
    # the key that is being read in each open object; a bracket where there is none
    path: list[bytes] = []
    key = b""
    position = steps = 0
    while match := _TOKEN.search(body, position):
        position = match.end()
        token = match.group()
        steps += 1
        if steps % STEPS_PER_YIELD == 0:
            yield
        if match.lastindex == _TEXT_GROUP:
            key = token
        elif token == b":":
            path[-1:] = [key]
        elif token in (b"{", b"["):
            if token == b"[" and path == wanted:
                return position
            path.append(token)
        elif token in (b"}", b"]"):
            if not path:
                return None
            path.pop()
    return None
