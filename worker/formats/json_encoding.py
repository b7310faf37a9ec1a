"""The keys that JSON and NDJSON have in common, and where the JSON of a body begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, Field

from worker.config.effects import Effect
from worker.config.model import unfit
from worker.formats.component import BOM, TextDecodeConfig
from worker.formats.spelling_config import SpellingKeys

_SETTLED: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "bytes": (("latin1",), "is not how decode.encoding avro writes bytes: they are latin1 there")
}


_MOST_SPACE: Final = 64
"""Bytes of white space that may stand before a prefix."""


def begin_of_json(body: Any, prefix: bytes) -> int:
    """Where the JSON of a body begins: behind a byte order mark, and behind the prefix where the
    body has it. A body without the prefix is read from its beginning: servers leave it out of
    errors, and what is no JSON is refused in any case.
    """
    start = len(BOM) if body[: len(BOM)] == BOM else 0
    if prefix:
        head = bytes(body[start : start + _MOST_SPACE + len(prefix)])
        if (rest := head.lstrip()).startswith(prefix):
            start += len(head) - len(rest) + len(prefix)
    return start


def _prefix(value: str) -> str:
    """The prefix without white space round it, which JSON may have anyway."""
    if not (text := value.strip()):
        raise unfit(
            "a prefix of nothing but white space",
            allowed="what stands before the JSON is needed, like )]}' or while(1);",
            remedy="take it out: white space before JSON is allowed anyway",
        )
    return text


class JsonDecode(SpellingKeys, TextDecodeConfig):
    """Base of the keys of formats whose records are JSON."""

    spelled: ClassVar[bool] = True

    encoding: Literal["plain", "avro"] = Field(
        "plain",
        description=(
            "plain, or avro: the JSON encoding of the Avro specification, where values of unions "
            "say their branch"
        ),
    )

    strip_prefix: Annotated[str, AfterValidator(_prefix)] | None = Field(
        None,
        description=(
            "text before the JSON, like )]}' or while(1);, which is left out; a body without it is "
            "read as it is"
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
    def prefix(self) -> bytes:
        """The same as bodies have it; empty for none."""
        return (self.strip_prefix or "").encode()

    def json_of(self, body: bytes) -> bytes:
        return body[begin_of_json(body, self.prefix) :]

    @property
    def tagged(self) -> bool:
        return self.encoding == "avro"

    @property
    def settled(self) -> Mapping[str, tuple[tuple[str, ...], str]]:
        return _SETTLED if self.tagged else {}
