"""`decode.encoding`, and how values are written: what JSON and NDJSON have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal

from pydantic import Field

from worker.config.effects import Effect
from worker.formats.component import DecodeConfig
from worker.formats.spelling_config import SpellingKeys

_SETTLED: Final[Mapping[str, tuple[str, str]]] = {
    "bytes": ("latin1", "is not how decode.encoding avro writes bytes: they are latin1 there")
}


class JsonDecode(SpellingKeys, DecodeConfig):
    """Base of the keys of formats whose records are JSON."""

    spelled: ClassVar[bool] = True

    encoding: Literal["plain", "avro"] = Field(
        "plain",
        description=(
            "plain, or avro: the JSON encoding of the Avro specification, where values of unions "
            "say their branch"
        ),
    )

    effects: ClassVar[tuple[Effect, ...]] = tuple(
        Effect(
            key,
            lambda decode: not decode.tagged,
            "the JSON encoding of Avro has one form for each value",
            "it counts with encoding plain",
        )
        for key in ("times", "time_zone", "null_values", "coerce")
    )
    """Keys that count only beside others."""

    @property
    def tagged(self) -> bool:
        return self.encoding == "avro"

    @property
    def settled(self) -> Mapping[str, tuple[str, str]]:
        return _SETTLED if self.tagged else {}
