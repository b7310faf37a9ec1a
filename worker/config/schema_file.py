"""Avro schemas in files that a config names."""

from __future__ import annotations

from pathlib import Path

from worker.config.files import read_file
from worker.core.errors import ConfigError
from worker.schema import Schema, parse_schema
from worker.schema.parse import MAX_BYTES


def schema_file(path: Path) -> Schema:
    """The schema in a file. Raises ConfigError with the name of the file."""
    try:
        text = read_file(path, MAX_BYTES)
    except OSError as error:
        raise ConfigError(
            f"schema {path} cannot be read: {error.strerror}",
            remedy="the path is relative to the config file",
        ) from error
    try:
        return parse_schema(text)
    except ConfigError as error:
        error.where = f"{path}: {error.where}" if error.where else str(path)
        raise
