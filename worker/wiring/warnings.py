"""What `check` says of a pipeline that is right, and may still not do what was meant. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from worker.paging.windows import resolution
from worker.schema import Schema
from worker.sources.http_config import HttpConfig
from worker.wiring.record_paths import warnings_of_keys


def warnings_of(source: HttpConfig, schema: Schema, output: Schema) -> list[str]:
    """The warnings of a source and of the schemas of a pipeline, each with its place."""
    return [
        *_split_values(source),
        *warnings_of_keys(source, schema),
        *_bound(source),
        *dict.fromkeys(map(str, (*schema.warnings, *output.warnings))),
    ]


def _split_values(source: HttpConfig) -> Iterator[str]:
    for name, value in source.split_values():
        yield (
            f"source.partitions.{name}: {value!r} has a / and stands in the path of url as one "
            f"segment; {{partition.{name}:path}} keeps its separators"
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
