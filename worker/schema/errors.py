"""A schema that is none."""

from __future__ import annotations

from worker.core.errors import ConfigError


class SchemaError(ConfigError):
    """The schema breaks the Avro specification, or cannot be used here.

    Args:
        path: where in the schema, like `$.fields[2].type`.
    """

    code = "schema"

    def __init__(self, path: str, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{path}: {message}", remedy=remedy)
        self.path = path
