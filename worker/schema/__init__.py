"""The Avro engine: parse a schema, compile it once, decode, check and encode with the plan. Pure."""

from worker.schema.errors import SchemaError
from worker.schema.model import Schema
from worker.schema.parse import parse_schema
from worker.schema.plan import CompiledPlan, FieldInfo, compile_plan

__all__ = ["CompiledPlan", "FieldInfo", "Schema", "SchemaError", "compile_plan", "parse_schema"]
