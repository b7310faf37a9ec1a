"""The Avro engine: a schema is parsed and compiled once; with it data is decoded, checked, encoded,
read and compared. The package is pure."""

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
