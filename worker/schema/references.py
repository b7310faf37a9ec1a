"""One self-contained schema out of a schema and those that it refers to by name: registries keep them apart, files need them whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from worker.schema.errors import SchemaError
from worker.schema.model import PRIMITIVES
from worker.schema.parse import MAX_DEPTH, MAX_NAMED

NAMED: Final = ("record", "error", "enum", "fixed")


def inlined(document: Any, references: Mapping[str, Any]) -> Any:
    """The document with the definition of each referenced type where its name stands first.

    Args:
        references: full name -> schema document of that type, which may refer to others of them.

    Raises SchemaError when they are nested too deeply, or when a reference is no named type.
    """
    return _Inliner(references).type(document, "", 0)


class _Inliner:
    def __init__(self, references: Mapping[str, Any]) -> None:
        self._references = references
        self._declared: set[str] = set()

    def type(self, node: Any, namespace: str, depth: int) -> Any:
        if depth > MAX_DEPTH or len(self._declared) > MAX_NAMED:
            raise SchemaError(
                "$",
                f"references nested deeper than {MAX_DEPTH} levels, or more than {MAX_NAMED} types",
            )
        if isinstance(node, str):
            return self._name(node, namespace, depth)
        if isinstance(node, list):
            return [self.type(each, namespace, depth + 1) for each in node]
        if not isinstance(node, dict):
            return node
        kind = node.get("type")
        if kind in NAMED:
            namespace, name = _full_name(node, namespace)
            self._declared.add(name)
            fields = node.get("fields")
            if not isinstance(fields, list):
                return node
            return {**node, "fields": [self._field(each, namespace, depth) for each in fields]}
        changed = {
            key: self.type(node[key], namespace, depth + 1)
            for key in ("items", "values")
            if key in node
        }
        if isinstance(kind, dict | list) or (
            isinstance(kind, str) and kind not in ("array", "map")
        ):
            changed["type"] = self.type(kind, namespace, depth + 1)
        return {**node, **changed}

    def _field(self, field: Any, namespace: str, depth: int) -> Any:
        if not isinstance(field, dict) or "type" not in field:
            return field
        return {**field, "type": self.type(field["type"], namespace, depth + 1)}

    def _name(self, name: str, namespace: str, depth: int) -> Any:
        if name in PRIMITIVES:
            return name
        for full in (name if "." in name or not namespace else f"{namespace}.{name}", name):
            if full in self._declared:
                return name
            if full in self._references:
                return self._definition(full, depth)
        return name

    def _definition(self, full: str, depth: int) -> Any:
        document = self._references[full]
        if (
            not isinstance(document, dict)
            or document.get("type") not in NAMED
            or _full_name(document, "")[1] != full
        ):
            raise SchemaError(
                "$", f"the reference {full[:100]!r} is no definition of a type of that name"
            )
        alone = (
            document
            if document.get("namespace") is not None or "." in str(document.get("name"))
            else {**document, "namespace": ""}
        )
        return self.type(alone, "", depth + 1)


def _full_name(node: Mapping[str, Any], namespace: str) -> tuple[str, str]:
    """(namespace, full name) of a definition."""
    name, own = str(node.get("name")), node.get("namespace")
    if "." in name:
        return name.rpartition(".")[0], name
    space = own if isinstance(own, str) else namespace
    return space, f"{space}.{name}" if space else name
