"""The keys of formats that have nothing but text: numbers and flags are read from it without
`coerce`, and an empty text is null where it is no value."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final

from worker.formats.component import TextDecodeConfig
from worker.formats.spelling_config import LISTED_FLAGS, SpellingKeys
from worker.schema.spellings import Numbers, Spellings

PLAIN_NUMBERS: Final = Numbers(group="", decimal=".")


class TextValueKeys(SpellingKeys, TextDecodeConfig):
    """Base of the keys of such a format."""

    spelled: ClassVar[bool] = True

    @property
    def spellings(self) -> Spellings:
        said = super().spellings
        return replace(
            said,
            numbers=said.numbers or PLAIN_NUMBERS,
            booleans=said.booleans or LISTED_FLAGS,
            nulls=said.nulls | {""},
        )
