"""Paths into records, and names that they get, held against the schema: `source.key`,
`source.incremental.field` and `source.records`.

They may name fields that the schema lacks. A name that only nearly is one of the schema is a slip
of the pen, and would cost every identity: it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from worker.config.problems import near_miss
from worker.core.collect import Collector
from worker.core.errors import ConfigError
from worker.core.jsonpath import plain_keys
from worker.schema import Schema
from worker.sources.http_config import HttpConfig
from worker.sources.records import Records


class Stray(NamedTuple):
    """A path that leads out of the schema.

    Attributes:
        where: the key of the config, below the pipeline.
        name: the part of the path that is no field.
        near: the field that is nearly called so; empty for none.
    """

    where: str
    path: str
    name: str
    near: str


def check_record_paths(source: HttpConfig, schema: Schema, found: Collector) -> None:
    """Raises ConfigError into `found` for each path or name that is a near miss of a field."""
    for stray in (*_strays(source, schema), *_stray_names(source.records, schema)):
        if stray.near:
            with found.part(stray.where):
                raise ConfigError(
                    f"{stray.path!r} names no field of the schema: {stray.name!r} is unknown",
                    remedy=f"did you mean {stray.near!r}? Names are compared letter by letter",
                )


def warnings_of_keys(source: HttpConfig, schema: Schema) -> Iterator[str]:
    """What a part of a key means that the schema does not have."""
    for stray in _strays(source, schema):
        if not stray.near and stray.where.startswith("source.key"):
            yield (
                f"{stray.where}: {stray.path!r} names no field of the schema; records that have "
                "none of their key are known by their bytes"
            )


def warnings_of_names(source: HttpConfig, schema: Schema) -> Iterator[str]:
    """What becomes of a field that records get, and that the schema does not have."""
    used = {keys[0] for _, path in _paths(source) if (keys := plain_keys(path))}
    for stray in _stray_names(source.records, schema):
        given = not stray.where.startswith(("source.records.names", "source.records.zip"))
        if given and not stray.near and stray.name not in used:
            yield (
                f"{stray.where}: {stray.name!r} is no field of the schema, so records lose it as "
                "any field that the schema lacks; add it to the schema, or take it out"
            )


def _stray_names(records: Records, schema: Schema) -> Iterator[Stray]:
    """The fields that records get and the schema lacks."""
    root = schema.value_type(schema.root)
    known = {name for each in root.fields for name in (each.json_name, *each.aliases)}
    for key, name in records.made():
        if name not in known:
            where = ".".join(("source.records", *map(str, key)))
            yield Stray(where, name, name, near_miss(name, known))


def _strays(source: HttpConfig, schema: Schema) -> Iterator[Stray]:
    for where, path in _paths(source):
        if (stray := _stray(where, path, schema)) is not None:
            yield stray


def _paths(source: HttpConfig) -> list[tuple[str, str]]:
    """(key of the config, path into a record)"""
    paths = [(f"source.key[{number}]", path) for number, path in enumerate(source.key)]
    if source.incremental is not None and source.incremental.field:
        paths.append(("source.incremental.field", source.incremental.field))
    return paths


def _stray(where: str, path: str, schema: Schema) -> Stray | None:
    """The first part of a path that is no field; None where all are, or where none is asked for."""
    kind = schema.value_type(schema.root)
    for key in plain_keys(path) or ():
        if kind.kind != "record":
            return None  # of a map or an array the schema does not know the keys
        fields = {name: each for each in kind.fields for name in (each.json_name, *each.aliases)}
        if key not in fields:
            return Stray(where, path, key, near_miss(key, fields))
        kind = schema.value_type(fields[key].type)
    return None
