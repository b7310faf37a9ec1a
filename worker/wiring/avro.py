"""The decoder of Avro bodies, with the writer's schemas that the config names."""

from __future__ import annotations

from typing import Final

from worker.core.errors import ConfigError
from worker.core.jsonpath import plain_keys
from worker.core.ports import SchemaNeeded
from worker.formats.avro import AvroPages, AvroSpec
from worker.formats.json import JsonSpec
from worker.formats.records import RecordSpec
from worker.schema import CompiledPlan, Schema
from worker.schema.single import SchemaStore
from worker.settings import PipelineSettings
from worker.wiring.schemas import schema_file

MAX_IDS: Final = 10_000


class WriterSchemas:
    """Writer's schemas by their ids in a registry; an id never gets another schema."""

    def __init__(self) -> None:
        self._known: dict[int, Schema] = {}

    def get(self, schema_id: int) -> Schema:
        """Raises SchemaNeeded for one that is not there yet."""
        if (schema := self._known.get(schema_id)) is None:
            raise SchemaNeeded(schema_id)
        return schema

    def add(self, schema_id: int, schema: Schema) -> None:
        """Takes one."""
        if len(self._known) >= MAX_IDS:
            self._known.clear()
        self._known[schema_id] = schema


def avro_pages(
    config: PipelineSettings, spec: JsonSpec, plan: CompiledPlan, writers: WriterSchemas
) -> AvroPages:
    """Raises ConfigError for what Avro bodies do not have."""
    if spec.body_paths:
        paths = ", ".join(dict.fromkeys(spec.body_paths))
        raise ConfigError(
            f"decode: an Avro body has nothing but records, so nothing is at {paths}",
            remedy="take it from a header, or from the last record",
        )
    _check_fields(spec.record, plan)
    decode, limits = config.decode, config.source.limits
    written = [schema_file(path) for path in decode.writer_schema]
    store = SchemaStore()
    for schema in (plan.schema, *written):
        try:
            store.add(schema)
        except ValueError as error:
            raise ConfigError(
                f"decode.writer_schema: {error}", remedy="take one of them out"
            ) from error
    return AvroPages(
        AvroSpec(decode.framing, spec.record, config.validation.bytes, limits.body, limits.ratio),
        plan,
        raw=written[0] if decode.framing == "raw" else None,
        single=store.get,
        confluent=writers.get,
    )


def _check_fields(spec: RecordSpec, plan: CompiledPlan) -> None:
    """Fields for the mark, the key and the position are read as the schema of the pipeline says, so it must have them."""
    known = {each.json_name for each in plan.schema.root.fields}
    for path in spec.paths:
        keys = plain_keys(path)
        if not keys:
            raise ConfigError(
                f"source: {path!r} is more than the name of a field",
                remedy="with decode.type avro write the keys alone, like a.b",
            )
        if keys[0] not in known:
            raise ConfigError(
                f"source: the schema has no field {keys[0]!r}, and with decode.type avro only its fields are read",
                remedy="add it to the schema",
            )
