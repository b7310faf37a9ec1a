"""NDJSON: bodies and files of one JSON record per line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from worker.core.errors import BadBody
from worker.core.ports import Steps
from worker.formats.component import DecodeDeps
from worker.formats.json_encoding import JsonDecode
from worker.formats.json_rows import JsonRows
from worker.formats.json_values import ValuePages, is_json
from worker.formats.records import Batch
from worker.schema import Schema
from worker.schema.errors import CorruptContainer

SLICE_BYTES: Final = 1024 * 1024


# -- decode ----------------------------------------------------------------------------------------


class Decode(JsonDecode):
    """Bodies of one JSON value a line: a record, or what holds some at `source.records`."""

    type: Literal["ndjson"] = Field(description="format of a page")


def pages(config: Decode, deps: DecodeDeps) -> NdjsonPages:
    return NdjsonPages(deps.spec, deps.plan, prefix=config.prefix)


class NdjsonPages(ValuePages):
    """Decodes the pages of one pipeline: one JSON value per line."""

    where = "a line"

    def _add(self, batch: Batch, body: Any, start: int) -> Steps[None]:
        _refuse_cut(body, start)
        while start < len(body):
            end = _line_end(body, start + SLICE_BYTES)
            lines = [line for line in bytes(body[start:end]).splitlines() if line.strip()]
            yield from self._values.add(batch, lines)
            start = end
            yield


def _refuse_cut(body: Any, start: int) -> None:
    """Raises BadBody for a body that was cut; its lines begin at `start`.

    A body without a length ends with the connection, so only its last line can tell.
    """
    last = bytes(body[max(body.rfind(b"\n") + 1, body.rfind(b"\r") + 1, start) :])
    if last.strip() and not is_json(last):
        raise BadBody("the body was cut: its last line is neither JSON nor ended")


def _line_end(body: Any, at: int) -> int:
    """The offset after the first line break from `at` on."""
    if at >= len(body):
        return len(body)
    found = body.find(b"\n", at)
    return len(body) if found < 0 else int(found) + 1


# -- encode ----------------------------------------------------------------------------------------

CODECS: Final = ("null", "gzip")
EXTENSIONS: Final = ("ndjson", "ndjson.gz")


def rows(schema: Schema, bytes_as: str) -> JsonRows:
    return JsonRows(schema, bytes_as)


def encoder(schema: Schema, codec: str, metadata: Mapping[str, str]) -> NdjsonEncoder:
    """Lines have no place for metadata."""
    return NdjsonEncoder(codec)


def rows_in(path: Path) -> int:
    """The lines of a file. Raises CorruptContainer for a damaged gzip stream."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            return sum(1 for _ in lines)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorruptContainer(f"the gzip stream is damaged: {error}") from error


class NdjsonEncoder:
    """One file: lines as they come, plain or as one gzip stream (codec `gzip`)."""

    def __init__(self, codec: str = "null") -> None:
        self.ext = "ndjson" if codec == "null" else "ndjson.gz"
        self._gzip = zlib.compressobj(6, zlib.DEFLATED, 31) if codec == "gzip" else None

    def header(self) -> bytes:
        return b""

    def block(self, rows: int, data: bytes) -> bytes:
        return data if self._gzip is None else self._gzip.compress(data)

    def footer(self) -> bytes:
        return b"" if self._gzip is None else self._gzip.flush()
