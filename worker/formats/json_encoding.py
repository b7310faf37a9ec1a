"""`decode.encoding`, which JSON and NDJSON have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

JsonEncoding = Literal["plain", "avro"]

ENCODING: Final = "plain, or avro: the JSON encoding of the Avro specification, where values of unions say their branch"

SETTLED_BY_AVRO: Final[Mapping[str, tuple[str, str]]] = {
    "bytes": ("latin1", "is not how decode.encoding avro writes bytes: they are latin1 there")
}
"""What that encoding decides of `validation` (see `DecodeConfig.settled`)."""
