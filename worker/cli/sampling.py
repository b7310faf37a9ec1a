"""Records to look at: of a URL, a file or a pipeline; what a schema for them would be, and what theirs lacks."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from worker.build.peek import sample
from worker.cli.read import tell
from worker.config.problems import ConfigProblems, Place
from worker.core.errors import ConfigError
from worker.core.jsonpath import compile_path
from worker.schema.infer import Inference, Surplus
from worker.schema.parse import parse_schema
from worker.settings import load_settings

FILE_BYTES = 256 * 1024 * 1024


def infer_from(source: str, pipeline: str | None, *, pages: int, path: str | None, name: str, namespace: str, enums: bool) -> str:
    """The proposal as JSON text. Raises ConfigError when there are no records to look at, SchemaError when no schema can be made of them."""
    if pipeline is not None:
        settings = load_settings([Path(source)])
        records = asyncio.run(sample(settings, pipeline, pages=pages, tell=tell, schema=False)).records
    elif source.startswith(("http://", "https://")):
        records = _of_url(source, path, pages)
    else:
        records = list(_of_file(Path(source), path))
    inference = Inference()
    for record in _objects(records):
        inference.observe(record)
    if not inference.records:
        raise ConfigError(f"{source} has no records to look at", remedy="name the place of the records with --records PATH, like data.items")
    text = json.dumps(inference.proposal(name, namespace, enums=enums), indent=2, ensure_ascii=False)
    parse_schema(text)  # a namespace that is none, or records beyond the limits of a schema: said, not printed
    return text


def drift_of(config: Path, pipelines: Sequence[str], *, pages: int, examples: bool) -> list[dict[str, Any]]:
    """For each pipeline (all of them when none is named): fields of its records that its schema lacks."""
    settings = load_settings([config])
    found = []
    for name in pipelines or [name for name, each in settings.pipelines.items() if each.enabled]:
        seen = asyncio.run(sample(settings, name, pages=pages, tell=tell))
        assert seen.schema is not None
        surplus = Surplus(seen.schema)
        for record in _objects(seen.records):
            surplus.observe(record)
        fields = [{"name": place, "type": kind, "seen": count, **({"example": example} if examples else {})} for place, kind, count, example in surplus.found()]
        found.append({"pipeline": name, "records": len(seen.records), "fields": fields})
    return found


def _objects(records: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    for raw in records:
        try:
            record = msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):  # it would be a reject
            continue
        if isinstance(record, dict):
            yield record


def _of_url(url: str, path: str | None, pages: int) -> list[bytes]:
    """Through the client and the decoder that a pipeline would use."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "infer.yaml"
        source = {"url": url, "concurrency": 1, **({"records": path} if path else {})}
        pipeline = {"source": source, "schema": "none.avsc", "sink": {"path": directory}}
        config.write_text(json.dumps({"version": 1, "state": {"path": directory}, "pipelines": {"infer": pipeline}}))  # JSON is YAML
        try:
            settings = load_settings([config])
        except ConfigProblems as error:  # what is wrong stands on the command line, not in a file that is gone
            raise _of_the_command(error) from error
        return asyncio.run(sample(settings, "infer", pages=pages, tell=tell, schema=False)).records


def _of_the_command(error: ConfigProblems) -> ConfigError:
    names = {"url": "SOURCE", "records": "--records"}
    places = (Place(names.get(each.place.key.rpartition(".")[2], each.place.key)) for each in error.problems)
    return ConfigProblems(replace(each, place=place) for each, place in zip(error.problems, places, strict=True))


def _of_file(file: Path, path: str | None) -> Iterator[bytes]:
    """The records of a JSON document, or of lines of JSON."""
    try:
        with file.open("rb") as opened:
            text = opened.read(FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", remedy="name a file, a URL, or a config and a pipeline") from error
    if len(text) > FILE_BYTES:
        raise ConfigError(f"{file} has more than {FILE_BYTES} bytes", remedy="a part of it is enough: head -n 10000")
    if text.startswith(b"Obj\x01"):
        raise ConfigError(f"{file} is an Avro file: it has its schema", remedy=f"worker schema show {file}")
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        lines = text.splitlines()
        if next(_objects(lines), None) is None:
            raise ConfigError(f"{file} has no records to look at: it is no JSON ({error}), nor lines of it", remedy="name a JSON or NDJSON file, or a config and a PIPELINE of it") from error
        yield from lines
        return
    found = compile_path(path).search(document) if path else document
    for each in found if isinstance(found, list) else [found]:
        yield msgspec.json.encode(each)
