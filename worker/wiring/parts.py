"""The pure components of a pipeline, compiled: `check` looks at them and touches nothing.

The partitions of its source are listed here too. A process that owns some of them only, a shard,
would be given its share of that list.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from worker.components import FORMATS, PAGINATIONS
from worker.core import delivery
from worker.core.collect import Collector
from worker.core.found import Wanted
from worker.core.ports import Pages
from worker.formats.component import DecodeDeps
from worker.formats.records import PageSpec, RecordSpec
from worker.formats.writers import WriterSchemas
from worker.paging.style import Pagination
from worker.runtime.flow import Flow
from worker.schema import CompiledPlan, Schema, compile_plan
from worker.schema.canonical import fingerprint
from worker.schema.kept import with_field
from worker.schema.plan import FieldInfo, field_infos
from worker.schema.sizes import recursive_names
from worker.schema.spellings import Spellings
from worker.settings import PipelineSettings
from worker.sources.http_config import HttpConfig
from worker.transforms.context import Contexts
from worker.transforms.routes import Part, route_parts
from worker.transforms.steps import compile_steps, leaves
from worker.wiring.record_paths import check_record_paths
from worker.wiring.schemas import Fetched, schema_of
from worker.wiring.spelled import spellings_of

ONLY_PARTITION: Final = "default"
TEXT: Final = FieldInfo("", "string", None, nullable=False)


@dataclass(frozen=True, slots=True)
class Parts:
    """The compiled parts of one pipeline."""

    name: str
    config: PipelineSettings
    style: Pagination
    plan: CompiledPlan
    output: Schema
    pages: Pages
    writers: WriterSchemas
    flow: Flow
    partitions: dict[str, dict[str, str]]
    lists: tuple[str, ...]
    delivery: str
    completeness: str
    plain_completeness: str

    @classmethod
    def of(
        cls,
        name: str,
        config: PipelineSettings,
        fetched: Fetched | None = None,
        *,
        wanted: Sequence[Wanted] = (),
    ) -> Parts:
        """Compiles a pipeline. Raises ConfigError.

        Args:
            fetched: the schemas of it that are in registries.
            wanted: what other pipelines look for in its records.
        """
        fetched = fetched or {}
        source = config.source
        style = PAGINATIONS.load(source.pagination.type).build(source.pagination)
        spec = _page_spec(source, style)
        found = Collector()
        schema = schema_of(config.schema_, fetched)
        spellings = spellings_of(config, schema, found)
        plan = _plan(config, schema, spec.record, spellings, found)
        names = frozenset(each.json_name for each in plan.schema.root.fields)
        spec = replace(
            spec, record=replace(spec.record, json_names=names, depth=levels(source, plan))
        )
        if config.output_schema is not None:
            schema = schema_of(config.output_schema, fetched)
        output = _output(config, plan, schema, found)
        check_record_paths(source, plan.schema, found)
        sink = config.sink
        route: tuple[Part, ...] = ()
        with found.part("sink.partition_by"):
            route = _route(sink.partition_by, output, source.partition_values)
        partitions = _partitions(source)
        rows = FORMATS.load(sink.format).rows(output, config.validation.bytes)
        with found.part("transforms"):
            shape = compile_steps(
                plan,
                config.transforms,
                output,
                rows,
                route,
                fill=config.validation.missing_fields == "fill",
                contexts=Contexts(
                    name, partitions, source.partition_values, tuple(source.records.envelope)
                ),
                lists=wanted,
            )
        whole = source.incremental is None
        grouped = whole and source.again
        order = source.incremental.order if source.incremental else None
        plain, complete = (
            delivery.completeness(
                source.pagination.completeness,
                order,
                total=total,
                numbered=source.pagination.numbered,
                stable=source.stable or source.pagination.seams,
            )
            for total in (False, source.pagination.total is not None)
        )
        keeps_late = source.incremental is not None and source.incremental.below_bound == "keep"
        delivers = delivery.delivery(keeps_late=keeps_late)
        with found.part("require_delivery"):
            delivery.require("delivery", config.require_delivery, delivers, delivery.DELIVERY)
        with found.part("require_completeness"):
            delivery.require(
                "completeness", config.require_completeness, complete, delivery.COMPLETENESS
            )
        writers = WriterSchemas()
        with found.part("decode"):
            deps = DecodeDeps(
                spec=spec,
                plan=plan,
                bytes_as=config.validation.bytes,
                body_bytes=source.limits.body,
                ratio=source.limits.ratio,
                writers=writers,
            )
            pages = FORMATS.load(config.decode.type).pages(config.decode, deps)
        found.check()
        return cls(
            name,
            config,
            style,
            plan,
            output,
            pages,
            writers,
            Flow(shape, fingerprint(output), grouped=grouped, whole=whole and bool(wanted)),
            partitions,
            tuple(dict.fromkeys(each.list for each in wanted)),
            delivers,
            complete,
            plain,
        )


def levels(source: HttpConfig, plan: CompiledPlan) -> int:
    """How deep a record may nest; 0 where that is not counted.

    It is where the limit is set, and where the schema does not limit it. Elsewhere what the schema
    lacks is skipped, however deep.
    """
    is_set = "depth" in source.limits.model_fields_set
    return source.limits.depth if is_set or recursive_names(plan.schema) else 0


def _page_spec(source: HttpConfig, style: Pagination) -> PageSpec:
    """What the planner needs to know of a page and of its records."""
    field = source.incremental.field if source.incremental is not None else ""
    identified = bool(field or source.key) or source.pagination.compares_records
    return PageSpec(
        records=source.records.path,
        shape=source.records.shape,
        missing_is_empty=source.records_missing == "empty",
        body_paths=tuple(dict.fromkeys((*style.body_paths, *source.body_paths))),
        record=RecordSpec(
            last_paths=style.last_paths,
            value_path=field or None,
            key_paths=source.key if identified else (),
            identify=identified,
            record_bytes=source.limits.record,
        ),
    )


def _plan(
    config: PipelineSettings,
    schema: Schema,
    spec: RecordSpec,
    spellings: Spellings,
    found: Collector,
) -> CompiledPlan:
    rules, kept = config.validation, ""
    with found.part("schema"):
        schema = with_field(schema, rules.kept) if rules.kept else schema
        kept = rules.kept
    return compile_plan(
        schema,
        unknown_fields=rules.unknown_fields,
        missing_fields=rules.missing_fields,
        bytes_as=rules.bytes,
        tagged=config.decode.tagged,
        spellings=spellings,
        extra=spec.extra_names(),
        kept=kept,
    )


def _output(
    config: PipelineSettings, plan: CompiledPlan, schema: Schema, found: Collector
) -> Schema:
    """The schema of the files: with the field that keeps what the schema lacks, where no step takes
    that field away."""
    kept = config.validation.kept
    if plan.keep is not None and leaves(config.transforms, kept):
        with found.part("output_schema"):
            return with_field(schema, kept)
    return schema


def _partitions(source: HttpConfig) -> dict[str, dict[str, str]]:
    """Name -> values of every partition; one called `default` without any. Those that are found
    come later.
    """
    if not source.partitions:
        return {ONLY_PARTITION: {}}
    if source.found is not None:
        return {}
    names, listed = list(source.partitions), source.listed
    combinations = itertools.product(*(map(str, listed[name]) for name in names))
    return {
        ",".join(f"{name}={value}" for name, value in zip(names, values, strict=True)): dict(
            zip(names, values, strict=True)
        )
        for values in combinations
    }


def _route(
    partition_by: str | None, output: Schema, partition_values: Sequence[str]
) -> tuple[Part, ...]:
    """What the directories of records are made of. Raises ConfigError for unknown fields."""
    if not partition_by:
        return ()
    values = dict.fromkeys((f"partition.{each}" for each in partition_values), TEXT)
    return route_parts(partition_by, field_infos(output) | values)
