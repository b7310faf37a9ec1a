"""The value of `pagination`: its model stands beside the style, and is imported when the style is used."""

from __future__ import annotations

from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from worker.components import component
from worker.config.model import Issues
from worker.config.models import Chosen
from worker.config.problems import did_you_mean, listed


class Style(Chosen):
    """Pagination: the model stands beside the style, and is imported when the style is used."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def _validate(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"a mapping with a type is needed; types are {', '.join(self.table)}")
        kind = value.get("type")
        if not isinstance(kind, str) or kind not in self.table:
            hint = "" if kind is None else did_you_mean(kind, self.table)
            what = "type is missing" if kind is None else f"unknown {self.what} {kind!r}"
            issues = Issues()
            issues.add(("type",), f"{what}; {hint + '; ' if hint else ''}{listed(self.table)}")
            issues.check()
        return self.model(value).model_validate(value)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "oneOf": [
                _inlined(component(self.table, self.what, name).Config.model_json_schema())
                for name in self.table
            ]
        }


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without `$defs`: what it refers to stands in place."""
    definitions = schema.pop("$defs", {})

    def fill(node: Any) -> Any:
        if isinstance(node, list):
            return [fill(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            rest = {key: value for key, value in node.items() if key != "$ref"}
            return fill({**definitions[node["$ref"].rpartition("/")[2]], **rest})
        return {key: fill(value) for key, value in node.items()}

    found: dict[str, Any] = fill(schema)
    return found
