"""Values of a JSON document as they are written, by their paths. Pure.

One typed decode finds them all where the paths are keys only; other paths are looked for in the
document, and what they find is written again, with the digits of its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any, Final

import msgspec

from worker.core.jsonpath import plain_keys, reader
from worker.core.model import MISSING
from worker.formats.envelope import Keys, build_leaves
from worker.schema.values import encode_number, parse_number

Texts = tuple[bytes | None, ...]
"""The text of each path; None where there is no value."""

_WRITTEN: Final = msgspec.json.Decoder(float_hook=parse_number)


def written(document: Any) -> bytes:
    """A value that `as_written` decoded, as JSON text again."""
    return msgspec.json.encode(document, enc_hook=encode_number)


def as_written(text: Any) -> Any:
    """A document whose numbers keep their digits. Raises msgspec.DecodeError for what is no JSON,
    or holds a number that no float can hold.
    """
    return _WRITTEN.decode(text)


def text_reader(paths: Sequence[str]) -> Callable[[Any], Texts]:
    """A function from the text of a document to the texts at the paths.

    It raises msgspec.DecodeError where the document is no JSON.
    """
    if not paths:
        return lambda text: ()
    search = [reader(path) for path in paths]

    def find(text: Any) -> Texts:
        document = as_written(text)
        found = (read(document) for read in search)
        return tuple(None if value is MISSING else written(value) for value in found)

    keys = separate_keys(paths)
    leaves = None if keys is None else build_leaves(dict.fromkeys(keys, msgspec.Raw))
    if keys is None or leaves is None:
        return find
    getters = [leaves.getter(each) for each in keys]
    decode = msgspec.json.Decoder(leaves.type).decode

    def take(text: Any) -> Texts:
        try:
            page = decode(text)
        except msgspec.ValidationError:  # what is no object stands on the way of a path
            return find(text)
        found = [get(page) for get in getters]
        return tuple(None if value is MISSING else bytes(value) for value in found)

    return take


def separate_keys(paths: Sequence[str]) -> list[Keys] | None:
    """The keys of plain paths; None where one is more than keys, or leads through another's value,
    so that no typed shape has them all."""
    keys = [plain_keys(path) or () for path in paths]
    if not all(keys) or any(one[: len(two)] == two for one, two in permutations(set(keys), 2)):
        return None
    return keys
