"""The values of partitions that stand in a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec

from worker.config.files import read_file
from worker.core.errors import ConfigError
from worker.core.found import FILE, Found
from worker.core.jsonpath import reader
from worker.core.model import MISSING

FILE_BYTES: Final = 64 * 1024 * 1024
"""A file of values may have so many bytes."""
DIGEST_BYTES: Final = 16


def values_in(path: Path, field: str, carry: Iterable[str]) -> Iterator[Found]:
    """The values of a file, each once, with what is carried; a row without the value has none.

    Raises ConfigError for a file that cannot be read, or lacks a column.
    """
    try:
        data = read_file(path, FILE_BYTES)
        if len(data) > FILE_BYTES:
            raise ValueError(f"it has more than {FILE_BYTES} bytes")
        yield from _found(path, data.decode("utf-8-sig"), field, tuple(carry))
    except (OSError, ValueError, csv.Error, msgspec.DecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(
            f"the partitions in {path} cannot be read: {why}",
            where="source.partitions",
            remedy="it is a .csv file with a header, .json with an array of objects, .ndjson with"
            " one object a line, or has one value a line",
        ) from error


def _found(path: Path, text: str, field: str, carry: tuple[str, ...]) -> Iterator[Found]:
    seen: set[str] = set()
    for row in _rows(path.suffix.lower(), text):
        value, *carried = (_text(_at(row, each)) for each in (field, *carry))
        if value and value not in seen:
            seen.add(value)
            content = msgspec.json.encode(row, order="deterministic")
            digest = blake2b(content, digest_size=DIGEST_BYTES).digest()
            yield Found(FILE, value, tuple(carried), digest)


def _rows(kind: str, text: str) -> Iterator[Mapping[str, Any]]:
    if kind == ".csv":
        yield from csv.DictReader(io.StringIO(text, newline=""), strict=True)
    elif kind == ".json":
        yield from msgspec.json.decode(text, type=list[dict[str, Any]])
    elif kind in (".ndjson", ".jsonl"):
        lines = filter(str.strip, text.splitlines())
        yield from (msgspec.json.decode(line, type=dict[str, Any]) for line in lines)
    else:
        yield from ({"": line.strip()} for line in text.splitlines())


def _at(row: Mapping[str, Any], path: str) -> Any:
    if path in row:
        return row[path]
    found = reader(path)(row)
    if found is MISSING:
        raise ValueError(f"a row has no {path}; it has {', '.join(map(str, row))}")
    return found


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise ValueError(f"{value!r} is no text, whole number or boolean")
