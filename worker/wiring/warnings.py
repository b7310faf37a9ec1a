"""What `check` says of a pipeline that is right, and may still not do what was meant. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from worker.paging.windows import resolution
from worker.schema import Schema
from worker.schema.coerced_checks import has_text
from worker.schema.model import Type, is_decimal, is_nullable, types_in
from worker.schema.time_checks import family_of
from worker.settings import PipelineSettings
from worker.sources.http_config import HttpConfig
from worker.wiring.record_paths import warnings_of_keys, warnings_of_names


def warnings_of(config: PipelineSettings, schema: Schema, output: Schema) -> list[str]:
    """The warnings of a source and of the schemas of a pipeline, each with its place."""
    source = config.source
    return [
        *_split_values(source),
        *_spelled_in_vain(config, schema),
        *warnings_of_keys(source, schema),
        *warnings_of_names(source, schema),
        *_bound(source),
        *dict.fromkeys(map(str, (*schema.warnings, *output.warnings))),
    ]


def _split_values(source: HttpConfig) -> Iterator[str]:
    for name, value in source.split_values():
        yield (
            f"source.partitions.{name}: {value!r} has a / and stands in the path of url as one "
            f"segment; {{partition.{name}:path}} keeps its separators"
        )


def _spelled_in_vain(config: PipelineSettings, schema: Schema) -> Iterator[str]:
    """What `decode` says of values of which the schema has none.

    These are warnings and no errors, because `defaults` may say it for other pipelines.
    """
    spellings, types = config.decode.configured, list(types_in(schema))
    kinds = {each.kind for each in types if each.logical is None}
    numbers = kinds & {"int", "long", "float", "double"} or any(map(is_decimal, types))
    timed = any(family_of(each.logical) == "timestamp" for each in types if each.logical)
    marks = config.source.incremental is not None and config.source.incremental.timed
    wanted = {
        "time_zone": (spellings.zone and not (timed or marks), "timestamp"),
        "null_values": (
            spellings.nulls and not any(_may_be_null_text(schema, each) for each in types),
            "nullable field that is no text",
        ),
        "coerce.numbers": (spellings.numbers is not None and not numbers, "number"),
        "coerce.booleans": (spellings.booleans and "boolean" not in kinds, "boolean"),
    }
    for key, (in_vain, what) in wanted.items():
        if in_vain and not config.decode.tagged:
            yield f"decode.{key}: it has no effect here, because the schema has no {what}"


def _may_be_null_text(schema: Schema, kind: Type) -> bool:
    """Whether text may mean null in values of a type without being named for a field."""
    return (
        is_nullable(kind)
        and kind.kind == "union"
        and not has_text([schema.resolve(each) for each in kind.branches])
    )


def _bound(source: HttpConfig) -> Iterator[str]:
    """Where no record can be held against the bound that was asked for."""
    incremental = source.incremental
    if incremental is None:
        return
    form, why = incremental.format, ""
    if incremental.from_ is not None:
        key, why = "from", "a token of the response has no order"
    elif form.record == "string":
        key, why = "format.record", "text has no order that the source must share"
    elif incremental.timed and resolution(form.marks) is None:
        key = "format.param" if form.param else "format.record"
        why = f"{form.param or form.record!r} is not read back as it is written"
    if why:
        yield (
            f"source.incremental.{key}: {why}, so no record can be compared with the bound; a "
            "source that ignores it is not noticed"
        )
