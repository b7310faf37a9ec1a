"""A key that stands twice on the way to the records: parsers take the last one, silently.

`{"data": [1, 2], "data": [3]}` loses two records. Reading all keys of a page as they are written
costs more than the page, so it is done where something may be twice only. A page whose parser found
an array, which is the last one then, has nothing twice if just one array stands behind a key of
that name, and no key of the path twice before it. Bytes say that: a key that is written in another
way the second time, with escapes or other white space before its array, is not seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from worker.core.errors import BadBody
from worker.core.model import MISSING
from worker.formats.envelope import Keys, build_whole

BRACKET_BYTES: Final = 300
"""Bytes that one regular expression searches in the time that finding one bracket takes."""


class _Members(list[tuple[str, Any]]):
    """An object as it is written: its keys and values, repeated ones too."""


class RecordsPath:
    """The keys to the records of a page, each of which may stand once in its object.

    Args:
        keys: at least one.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys, self._whole = keys, build_whole(keys)
        spelled = {key: _spellings(key) for key in keys}
        self._key = re.compile(b"|".join(text for each in spelled.values() for text in each))
        before = [text + colon for text in spelled[keys[-1]] for colon in (b":", b": ")]
        self._array = re.compile(rb"\[(?:%b)" % b"|".join(rb"(?<=%b\[)" % each for each in before))

    def check(self, body: Any, records: Any) -> None:
        """Raises BadBody for a page with a key twice.

        Args:
            records: what a parser found at the keys. Only a list saves reading the whole body, so
                that of a body from which the records were cut is None.
        """
        if not isinstance(records, list):
            self._check_keys(body)
        elif self._may_repeat(body):
            self._check_keys(self._without_records(body))

    def check_around(self, body: Any) -> None:
        """The same for a page whose records stand in a value of any kind."""
        self._check_keys(self._without_records(body))

    def _check_keys(self, document: Any) -> None:
        if len(list(islice(self._key.finditer(document), 2))) < 2:
            return
        if (key := _repeated(document, self._keys)) is not None:
            raise BadBody(
                f"the key {key!r} stands twice on the path of the records"
                f" {'.'.join(self._keys)!r}, and a parser takes only the last one",
                remedy="ask whoever runs the source for one array of all records",
            )

    def _may_repeat(self, body: Any) -> bool:
        arrays = list(islice(self._arrays(body), 2))
        return len(arrays) != 1 or len(self._key.findall(body, 0, arrays[0])) > len(self._keys)

    def _arrays(self, body: Any) -> Iterator[int]:
        """Where arrays begin behind the last key; brackets are found quickest where few are."""
        at, left = body.find(b"["), len(body) // BRACKET_BYTES
        while at >= 0 and left > 0:
            if self._array.match(body, at):
                yield at
            at, left = body.find(b"[", at + 1), left - 1
        if at >= 0:
            yield from (match.start() for match in self._array.finditer(body, at))

    def _without_records(self, body: Any) -> Any:
        """The document with an empty array in place of the records that the parser found."""
        text = bytes(body)
        if self._whole is None:
            return text
        try:
            value = self._whole(body)
        except msgspec.ValidationError:  # what is no object stands on the path, before an object
            return text
        if value is MISSING:
            return text
        whole = bytes(value)
        start = text.find(whole)
        return text[:start] + b"[]" + text[start + len(whole) :]


def _spellings(key: str) -> set[bytes]:
    """Patterns of a key as serializers write it: in UTF-8, or in ASCII with escapes."""
    return {re.escape(text) for text in (msgspec.json.encode(key), json.dumps(key).encode())}


def _repeated(document: Any, keys: Keys) -> str | None:
    """The first of the keys that stands twice in its object."""
    try:
        node = json.loads(
            bytes(document), object_pairs_hook=_Members, parse_int=str, parse_float=str
        )
    except (ValueError, RecursionError):
        return None  # the parser of pages says what is wrong
    for key in keys:
        members = node if isinstance(node, _Members) else ()
        values = [value for name, value in members if name == key]
        if len(values) > 1:
            return key
        node = values[0] if values else None
    return None
