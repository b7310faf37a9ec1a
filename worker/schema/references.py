"""Makes one self-contained schema of a schema and those that it refers to by name: registries keep
them apart, while files need the whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.schema.errors import SchemaError
from worker.schema.model import PRIMITIVES
from worker.schema.parse import MAX_DEPTH, MAX_NAMED, NAMED, in_namespace


def inlined(document: Any, references: Mapping[str, Any]) -> Any:
    """The document with the definition of each referenced type where its name stands first.

    Args:
        references: full name -> schema document of that type, which may refer to others of them.

    Raises:
        SchemaError: references are nested too deeply, or a reference is no named type.
    """
    return _Inliner(references).node(document, "", 0)


class _Inliner:
    """Copies a schema document; `namespace` is the one that encloses a node."""

    def __init__(self, references: Mapping[str, Any]) -> None:
        self._references = references
        self._declared: set[str] = set()

    def node(self, node: Any, namespace: str, depth: int) -> Any:
        """A type: a name, a union, or an object."""
        if depth > MAX_DEPTH or len(self._declared) > MAX_NAMED:
            raise SchemaError(
                "$",
                f"references nested deeper than {MAX_DEPTH} levels, or more than {MAX_NAMED} types",
            )
        if isinstance(node, str):
            return self._name(node, namespace, depth)
        if isinstance(node, list):
            return [self.node(each, namespace, depth + 1) for each in node]
        if not isinstance(node, dict):
            return node
        declares = node.get("type") in NAMED
        return (
            self._named(node, namespace, depth) if declares else self._other(node, namespace, depth)
        )

    def _name(self, name: str, namespace: str, depth: int) -> Any:
        if name in PRIMITIVES:
            return name
        for full in (in_namespace(name, namespace), name):
            if full in self._declared:
                return name
            if full in self._references:
                return self._definition(full, depth)
        return name

    def _definition(self, full: str, depth: int) -> Any:
        document = self._references[full]
        if not _defines(document, full):
            raise SchemaError(
                "$", f"the reference {full[:100]!r} is not the definition of a type of that name"
            )
        if document.get("namespace") is None and "." not in str(document.get("name")):
            document = {
                **document,
                "namespace": "",
            }  # not that of the place where it comes to stand
        return self.node(document, "", depth + 1)

    def _named(self, node: dict[str, Any], namespace: str, depth: int) -> Any:
        namespace, name = _full_name(node, namespace)
        self._declared.add(name)
        fields = node.get("fields")
        if not isinstance(fields, list):
            return node
        return {**node, "fields": [self._field(each, namespace, depth) for each in fields]}

    def _field(self, field: Any, namespace: str, depth: int) -> Any:
        if not isinstance(field, dict) or "type" not in field:
            return field
        return {**field, "type": self.node(field["type"], namespace, depth + 1)}

    def _other(self, node: dict[str, Any], namespace: str, depth: int) -> Any:
        """An array, a map, or an object round another type."""
        inner: list[str] = [key for key in ("items", "values") if key in node]
        kind = node.get("type")
        if isinstance(kind, dict | list | str) and kind not in ("array", "map"):
            inner.append("type")
        return {**node, **{key: self.node(node[key], namespace, depth + 1) for key in inner}}


def _defines(document: Any, full: str) -> bool:
    is_named = isinstance(document, dict) and document.get("type") in NAMED
    return is_named and _full_name(document, "")[1] == full


def _full_name(node: Mapping[str, Any], namespace: str) -> tuple[str, str]:
    """The namespace and the full name of a definition (specification, "Names")."""
    name, own = str(node.get("name")), node.get("namespace")
    if "." in name:
        return name.rpartition(".")[0], name
    space = own if isinstance(own, str) else namespace
    return space, in_namespace(name, space)
