"""The schemas of writers that a registry has, by their ids."""

from __future__ import annotations

from typing import Final

from worker.core.ports import SchemaNeeded
from worker.schema import Schema

MAX_IDS: Final = 10_000


class WriterSchemas:
    """The schemas that are known of the writers of a pipeline; an id never gets another schema."""

    def __init__(self) -> None:
        self._known: dict[int, Schema] = {}

    def get(self, schema_id: int) -> Schema:
        """The schema of an id. Raises SchemaNeeded when it must be fetched first."""
        if (schema := self._known.get(schema_id)) is None:
            raise SchemaNeeded(schema_id)
        return schema

    def add(self, schema_id: int, schema: Schema) -> None:
        """Keeps a schema that was fetched."""
        if len(self._known) >= MAX_IDS:
            self._known.clear()
        self._known[schema_id] = schema
