"""The Avro engine: parse a schema, compile it once, decode, check, encode, read and compare with it. Pure."""

from worker.schema.errors import CorruptContainer, CorruptData, CorruptDatum, SchemaError
from worker.schema.limits import Limits
from worker.schema.model import Schema
from worker.schema.parse import parse_schema
from worker.schema.plan import CompiledPlan, FieldInfo, compile_plan
from worker.schema.reading import DatumReader

__all__ = [
    "CompiledPlan",
    "CorruptContainer",
    "CorruptData",
    "CorruptDatum",
    "DatumReader",
    "FieldInfo",
    "Limits",
    "Schema",
    "SchemaError",
    "compile_plan",
    "parse_schema",
]
