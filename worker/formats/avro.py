"""Avro object container files, framed by ourselves: header, then blocks of concatenated datums."""

from __future__ import annotations

import os
from collections.abc import Mapping

from worker.schema.container import SYNC_BYTES, file_header, frame_block


class AvroEncoder:
    """One file: a random sync marker, the schema and our metadata in the header."""

    ext = "avro"

    def __init__(self, schema_json: str, codec: str, metadata: Mapping[str, str]) -> None:
        self._codec = codec
        self._sync = os.urandom(SYNC_BYTES)
        self._header = file_header(schema_json, codec, {key: value.encode() for key, value in metadata.items()}, self._sync)

    def header(self) -> bytes:
        return self._header

    def block(self, rows: int, data: bytes) -> bytes:
        return frame_block(rows, data, self._codec, self._sync)

    def footer(self) -> bytes:
        return b""
