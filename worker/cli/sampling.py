"""Samples of the records of a URL, a file or a pipeline.

A schema is proposed for them, or compared with them.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from worker.cli.asking import is_url
from worker.cli.read import tell
from worker.config.problems import ConfigProblems, Place
from worker.core.errors import BadBody, ConfigError, RecordsMissing
from worker.core.jsonpath import compile_path
from worker.core.model import Unknown
from worker.formats.json import JsonPages
from worker.formats.records import PageSpec
from worker.http.registry_config import SubjectConfig
from worker.runtime.slices import at_once
from worker.schema import Schema, compile_plan
from worker.schema.container import read_records
from worker.schema.errors import SchemaError
from worker.schema.infer import Inference, Surplus
from worker.schema.next_schema import next_schema
from worker.schema.parse import parse_schema
from worker.settings import Settings, load_settings
from worker.wiring.peek import ANYTHING, sample
from worker.wiring.schemas import schema_of

SHOWN_RECORDS: Final = 5
FILE_BYTES: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Proposal:
    """A schema for records.

    Attributes:
        text: the schema as JSON.
        notes: what the schema does not say of the records.
    """

    text: str
    notes: Sequence[str]


def infer_from(
    source: str,
    pipeline: str | None,
    *,
    pages: int,
    path: str | None,
    ask: Mapping[str, Any],
    name: str,
    namespace: str,
    enums: bool,
) -> Proposal:
    """A schema for records, which accepts all of them that are JSON objects.

    Raises ConfigError when there are no records to look at, SchemaError when no schema can be made
    of them.

    Args:
        source: a URL, a file, or the config of `pipeline`.
        pages: how many pages of a URL or a pipeline are read.
        path: JMESPath of the records in a file or in what a URL sends.
        ask: further keys of the source of a URL.
        enums: text that repeats may become an enum.
    """
    kind = "record"
    if pipeline is not None:
        settings = load_settings([Path(source)], without_schema=True)
        _refuse_avro(settings, pipeline)
        records = asyncio.run(
            sample(settings, pipeline, pages=pages, tell=tell, schema=False)
        ).records
    elif is_url(source):
        records = _of_url(source, path, pages, ask)
    else:
        kind, records = _of_file(Path(source), path)
    inference, left_out = Inference(), list[int]()
    for number, raw in enumerate(records, 1):
        if (record := _object_of(raw)) is not None:
            inference.observe(record)
        elif raw.strip():
            left_out.append(number)
    if not inference.records:
        raise ConfigError(
            f"{source} has no records to look at",
            remedy="name the place of the records with --records PATH, like data.items",
        )
    text = json.dumps(
        inference.proposal(name, namespace, enums=enums), indent=2, ensure_ascii=False
    )
    notes = list(_notes(inference, kind, left_out))
    try:
        # a namespace that is none, or records beyond the limits of a schema, are errors here
        parse_schema(text)
    except SchemaError as error:
        error.remedy = error.remedy or "; ".join(notes)
        raise
    return Proposal(text, notes)


def _notes(inference: Inference, kind: str, left_out: Sequence[int]) -> Iterator[str]:
    """What the schema does not say.

    Args:
        kind: what `left_out` numbers, from 1.
        left_out: those that are no JSON objects.
    """
    if left_out:
        shown = [f"{kind} {number}" for number in left_out[:SHOWN_RECORDS]]
        yield (
            f"{len(left_out)} records are no JSON objects: the schema does not know them"
            f" ({', '.join(shown)}{', ...' if len(left_out) > SHOWN_RECORDS else ''})"
        )
    if inference.seen.is_map:
        yield (
            f"the records have {len(inference.seen.fields)} different keys, which look like data: "
            "the next record may have others; name the place of their values with --records, "
            "like data.* or data.items"
        )


def drift_of(
    config: Path, pipelines: Sequence[str], *, pages: int, examples: bool
) -> list[dict[str, Any]]:
    """For each pipeline, the fields of its records that its schema lacks.

    Args:
        pipelines: their names; all that are enabled when there is none.
        examples: each field comes with one of its values.
    """
    settings = load_settings([config])
    found = []
    for name in pipelines or [name for name, each in settings.pipelines.items() if each.enabled]:
        seen = asyncio.run(sample(settings, name, pages=pages, tell=tell))
        assert seen.schema is not None
        fields = (
            _dropped(seen.dropped)
            if seen.dropped is not None
            else _surplus(seen.schema, seen.records, examples)
        )
        found.append({"pipeline": name, "records": len(seen.records), "fields": fields})
    return found


def next_of(config: Path, pipeline: str, *, pages: int) -> Proposal:
    """The schema of a pipeline with the fields that its records have and it lacks.

    Raises ConfigError for a pipeline that reads Avro, whose values are never read.
    """
    settings = load_settings([config])
    _refuse_avro(settings, pipeline)
    seen = asyncio.run(sample(settings, pipeline, pages=pages, tell=tell))
    assert seen.schema is not None
    return Proposal(next_schema(seen.schema, _observed(seen.schema, seen.records)), ())


def next_of_kept(config: Path, pipeline: str, files: Sequence[Path]) -> Proposal:
    """The same from what Avro files of the pipeline keep; the source is not asked.

    Raises ConfigError for a pipeline that keeps nothing, or whose schema is in a registry, and
    CorruptContainer for a damaged file.
    """
    settings = load_settings([config])
    of = settings.pipeline(pipeline)
    if not of.validation.kept:
        raise ConfigError(
            f"{pipeline} keeps no fields that its schema lacks",
            where=f"pipelines.{pipeline}.validation",
            remedy="set unknown_fields: keep, or leave --kept out, which asks the source",
        )
    if isinstance(of.schema_, SubjectConfig):
        raise ConfigError(
            f"the schema of {pipeline} is in a registry, which is not asked with --kept",
            where=f"pipelines.{pipeline}.schema",
            remedy="leave --kept out, which asks the source",
        )
    schema = schema_of(of.schema_, {})
    surplus = _observed(schema, list(_kept(files, of.validation.kept)), kept=True)
    notes = [
        f"what was kept of {place} does not say of which type of its union it is; "
        "leave --kept out, which asks the source"
        for place in sorted(surplus.undecided)
    ]
    return Proposal(next_schema(schema, surplus), notes)


def _kept(files: Sequence[Path], field: str) -> Iterator[bytes]:
    """What records in Avro files keep in a field; nothing of files that lack the field."""
    for path in files:
        with path.open("rb") as file:
            for record in read_records(file, str(path)):
                if isinstance(text := record.get(field), str):
                    yield text.encode()


def _observed(schema: Schema, records: Sequence[bytes], *, kept: bool = False) -> Surplus:
    surplus = Surplus(schema, kept=kept)
    for record in _objects(records):
        surplus.observe(record)
    return surplus


def _surplus(schema: Schema, records: Sequence[bytes], examples: bool) -> list[dict[str, Any]]:
    surplus = _observed(schema, records)
    return [
        {"name": place, "type": kind, "seen": count, **({"example": example} if examples else {})}
        for place, kind, count, example in surplus.found()
    ]


def _dropped(fields: Mapping[str, Unknown]) -> list[dict[str, Any]]:
    """The fields of Avro records: writers know their types, and values are never read."""
    return [
        {
            "name": name,
            "type": list(each.kinds) if len(each.kinds) > 1 else each.kinds[0],
            "seen": each.count,
        }
        for name, each in sorted(fields.items())
    ]


def _refuse_avro(settings: Settings, pipeline: str) -> None:
    config = settings.pipelines.get(pipeline)
    if config is not None and config.decode.type == "avro":
        raise ConfigError(
            f"{pipeline} reads Avro: its data has a schema, there is nothing to guess",
            remedy="take the writer's: `worker schema show FILE` of a body that was saved, "
            "or the subject in the registry",
        )


def _objects(records: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    return (found for raw in records if (found := _object_of(raw)) is not None)


def _object_of(raw: bytes) -> dict[str, Any] | None:
    """The object that a record is; None for any other, which would be a reject."""
    try:
        record = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return record if isinstance(record, dict) else None


def _of_url(url: str, path: str | None, pages: int, ask: Mapping[str, Any]) -> list[bytes]:
    """The records of a URL, read with the client and the decoder of a pipeline."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "infer.yaml"
        source = {"url": url, "concurrency": 1, **ask, **({"records": path} if path else {})}
        pipeline = {"source": source, "schema": "none.avsc", "sink": {"path": directory}}
        document = {"version": 1, "state": {"path": directory}, "pipelines": {"infer": pipeline}}
        config.write_text(json.dumps(document, default=str))  # JSON is YAML
        try:
            settings = load_settings([config])
        except ConfigProblems as error:
            raise _of_the_command(error) from error
        return asyncio.run(sample(settings, "infer", pages=pages, tell=tell, schema=False)).records


def _of_the_command(error: ConfigProblems) -> ConfigError:
    """The problems with their places on the command line: the config is a file of ours."""
    options = {
        "url": "SOURCE",
        "records": "--records",
        "pagination": "--pagination",
        "headers": "--header",
        "auth": "the credential",
    }

    def option(key: str) -> str:
        below = key.removeprefix("pipelines.infer.source.")
        return options.get(re.split(r"[.\[]", below)[0], key)

    places = (Place(option(each.place.key)) for each in error.problems)
    return ConfigProblems(
        replace(each, place=place) for each, place in zip(error.problems, places, strict=True)
    )


def _of_file(file: Path, path: str | None) -> tuple[str, list[bytes]]:
    """What one of them is called, and the records of a JSON document, or the lines of a file."""
    text = _text_of(file)
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        if (records := _salvaged(text, path)) is not None:
            return "record", records
        return "line", _lines_of(file, text, path, error)
    found = compile_path(path).search(document) if path else document
    return "record", list(map(msgspec.json.encode, found if isinstance(found, list) else [found]))


def _salvaged(text: bytes, path: str | None) -> list[bytes] | None:
    """The records of a document that is JSON but for some of them; None for any other."""
    pages = JsonPages(PageSpec(path), compile_plan(parse_schema(ANYTHING)))
    try:
        decoded = at_once(pages.decode(text))
    except (BadBody, RecordsMissing):
        return None
    return list(map(decoded.raw, range(decoded.facts.count)))


def _text_of(file: Path) -> bytes:
    """The content of a file that may hold JSON. Raises ConfigError for any other."""
    try:
        with file.open("rb") as opened:
            text = opened.read(FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}",
            remedy="name a file, a URL, or a config and a pipeline",
        ) from error
    if len(text) > FILE_BYTES:
        raise ConfigError(
            f"{file} has more than {FILE_BYTES} bytes",
            remedy="a part of it is enough: head -n 10000",
        )
    if text.startswith(b"Obj\x01"):
        raise ConfigError(
            f"{file} is an Avro file: it has its schema", remedy=f"worker schema show {file}"
        )
    return text


def _lines_of(file: Path, text: bytes, path: str | None, error: Exception) -> list[bytes]:
    """The lines of a file that is no JSON document, each a record. Raises ConfigError."""
    lines = text.splitlines()
    if next(_objects(lines), None) is None:
        raise ConfigError(
            f"{file} has no records to look at: it is no JSON ({error}), nor lines of it",
            remedy="name a JSON or NDJSON file, or a config and a PIPELINE of it",
        ) from error
    if path is not None:
        raise ConfigError(
            f"{file} is no JSON document ({error}); each line of it is a record",
            remedy="leave --records out",
        ) from error
    return lines
