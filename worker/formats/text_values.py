"""The keys of formats that have nothing but text: numbers and flags are read from it without
`coerce`, and an empty text is null where it is no value."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, ClassVar, Final

import msgspec

from worker.formats.component import TextDecodeConfig
from worker.formats.spelling_config import LISTED_FLAGS, SpellingKeys
from worker.schema.spellings import Numbers, Spellings

PLAIN_NUMBERS: Final = Numbers(group="", decimal=".")


_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d{1,15})?", re.ASCII)
"""Text with zeros in front, and with more digits than are exact, is most likely no number."""
_WORDS: Final[dict[str, Any]] = {"": None, "true": True, "false": False}


def _guess(value: Any) -> Any:
    """A value with what its texts most likely are."""
    if isinstance(value, dict):
        return {name: _guess(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_guess(each) for each in value]
    if not isinstance(value, str):
        return value
    if _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return _WORDS.get(value.lower(), value)


class TextValueKeys(SpellingKeys, TextDecodeConfig):
    """Base of the keys of such a format."""

    spelled: ClassVar[bool] = True

    @property
    def configured(self) -> Spellings:
        return super().spellings

    def guessed(self, record: bytes) -> bytes:
        try:
            return msgspec.json.encode(_guess(msgspec.json.decode(record)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return record

    @property
    def spellings(self) -> Spellings:
        said = self.configured
        return replace(
            said,
            numbers=said.numbers or PLAIN_NUMBERS,
            booleans=said.booleans or LISTED_FLAGS,
            nulls=said.nulls | {""},
        )
