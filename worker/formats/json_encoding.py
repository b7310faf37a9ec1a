"""`decode.encoding`, which JSON and NDJSON have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import Field

from worker.formats.component import DecodeConfig

_SETTLED: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "bytes": (("latin1",), "is not how decode.encoding avro writes bytes: they are latin1 there")
}


class JsonDecode(DecodeConfig):
    """Base of the keys of formats whose records are JSON."""

    encoding: Literal["plain", "avro"] = Field(
        "plain",
        description=(
            "plain, or avro: the JSON encoding of the Avro specification, where values of unions "
            "say their branch"
        ),
    )

    @property
    def tagged(self) -> bool:
        return self.encoding == "avro"

    @property
    def settled(self) -> Mapping[str, tuple[tuple[str, ...], str]]:
        return _SETTLED if self.tagged else {}
