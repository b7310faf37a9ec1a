"""Makes one self-contained schema of documents that define types for each other.

Files and registries keep them apart, while the header of an Avro file needs the whole.

The order of the documents does not matter, and types of different documents may refer to each
other. Each definition is put where its type is used first; where it stood itself, if that comes
later, its name remains.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from worker.schema.errors import SchemaError
from worker.schema.model import PRIMITIVES, Schema, SchemaWarning
from worker.schema.parse import MAX_DEPTH, MAX_NAMED, NAMED, in_namespace, parse_document

_INNER: Final = {"array": "items", "map": "values"}  # kind -> the key of its inner type


@dataclass(frozen=True, slots=True)
class Definition:
    """The definition of a named type.

    Attributes:
        node: the JSON object that defines it.
        name: the full name.
        place: where it stands.
    """

    node: Mapping[str, Any]
    name: str
    place: Place


class Place(NamedTuple):
    """A place in a document, like `$.fields[2].type` in `order.avsc`."""

    document: str
    path: str

    def __str__(self) -> str:
        return f"{self.document}: {self.path}"


class Definitions:
    """The named types of several documents."""

    def __init__(self) -> None:
        self._by_name: dict[str, Definition] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __getitem__(self, name: str) -> Definition:
        return self._by_name[name]

    def add(self, document: Any, label: str) -> list[str]:
        """Adds the types that a document defines, also inside of others.

        Args:
            label: what the document is called in errors.

        Returns:
            The full names of those that it does not define inside of others: the document itself,
            or the items of a list.

        Raises:
            SchemaError: a type is defined already, or the document is nested too deeply.
        """
        for each in _definitions(document, Place(label, "$"), "", 0):
            if (other := self._by_name.setdefault(each.name, each)) is not each:
                raise SchemaError(
                    each.place.path,
                    f"{each.name[:100]!r} is defined already, in {other.place}",
                    remedy="take one of the two definitions out",
                    where=label,
                )
        outer = document if isinstance(document, list) else [document]
        return [_full_name(each, "")[1] for each in outer if _is_definition(each)]


def parse_parts(document: Any, definitions: Definitions, label: str, **options: bool) -> Schema:
    """The schema of a document whose types may be defined by other documents.

    Args:
        document: a name of one of the definitions, or the JSON of any schema.
        label: what the document is called in errors.
        options: those of parse_schema.

    Raises:
        SchemaError: it is no schema; `where` is the document that is wrong, and the path is one in
            that document. The same is true of the warnings of the schema.
    """
    whole = _Assembly(definitions, label)
    try:
        schema = parse_document(whole.node(document, "$", "", 0), **options)
    except SchemaError as error:
        at = whole.place(error.path)
        message = error.message.removeprefix(f"{error.path}: ")
        raise SchemaError(at.path, message, remedy=error.remedy, where=at.document) from error
    warnings = (SchemaWarning(str(whole.place(at)), text) for at, text in schema.warnings)
    return Schema(schema.root, schema.named, schema.source, schema.document, tuple(warnings))


def _definitions(node: Any, place: Place, namespace: str, depth: int) -> Iterator[Definition]:
    """Every definition in a type; `namespace` is the one that encloses it."""
    if depth > MAX_DEPTH:
        raise SchemaError(
            place.path, f"nested deeper than {MAX_DEPTH} levels", where=place.document
        )
    if _is_definition(node):
        namespace, name = _full_name(node, namespace)
        yield Definition({**node, **_own_namespace(node, namespace)}, name, place)
    for path, inner in _inner_types(node):
        yield from _definitions(
            inner, Place(place.document, place.path + path), namespace, depth + 1
        )


def _inner_types(node: Any) -> Iterator[tuple[str, Any]]:
    """The types in a type, each with its path from there."""
    if isinstance(node, list):
        yield from ((f"[{number}]", each) for number, each in enumerate(node))
    elif _is_definition(node):
        fields = node.get("fields")
        for number, field in enumerate(fields if isinstance(fields, list) else ()):
            if isinstance(field, dict) and "type" in field:
                yield f".fields[{number}].type", field["type"]
    elif isinstance(node, dict):
        is_kind = node.get("type") in tuple(_INNER)
        keys = (*_INNER.values(), *(() if is_kind else ("type",)))
        yield from ((f".{key}", node[key]) for key in keys if key in node)


class _Assembly:
    """Copies the document of a schema, with definitions in the place of names.

    `at` is the path of a node in the copy, and `namespace` the one that encloses it.
    """

    def __init__(self, definitions: Definitions, label: str) -> None:
        self._definitions = definitions
        self._declared: set[str] = set()
        self._origins = {"$": Place(label, "$")}
        """Path in the copy -> where what begins there came from."""

    def place(self, path: str) -> Place:
        """Where something stands that is at a path of the copy."""
        begins = max(
            (each for each in self._origins if _is_below(path, each)), key=len, default="$"
        )
        document, base = self._origins[begins]
        return Place(document, base + path.removeprefix(begins))

    def node(self, node: Any, at: str, namespace: str, depth: int) -> Any:
        """The copy of a type: a name, a union, or an object."""
        if depth > MAX_DEPTH or len(self._declared) > MAX_NAMED:
            raise SchemaError(
                at, f"nested deeper than {MAX_DEPTH} levels, or more than {MAX_NAMED} types"
            )
        if isinstance(node, str):
            return self._name(node, at, namespace, depth)
        if isinstance(node, list):
            return [
                self.node(each, f"{at}[{number}]", namespace, depth + 1)
                for number, each in enumerate(node)
            ]
        if not isinstance(node, dict):
            return node
        if _is_definition(node):
            return self._named(node, at, namespace, depth)
        inner = {
            path.removeprefix("."): self.node(each, at + path, namespace, depth + 1)
            for path, each in _inner_types(node)
        }
        return node | inner

    def _name(self, name: str, at: str, namespace: str, depth: int) -> Any:
        if name in PRIMITIVES:
            return name
        for full in (in_namespace(name, namespace), name):
            if full in self._declared:
                return full
            if full in self._definitions:
                found = self._definitions[full]
                self._origins[at] = found.place
                return self._named(found.node, at, "", depth + 1)
        return name

    def _named(self, node: Mapping[str, Any], at: str, namespace: str, depth: int) -> Any:
        namespace, name = _full_name(node, namespace)
        if name in self._declared and name in self._definitions:
            return name  # its definition stands where it was used first
        self._declared.add(name)
        fields = node.get("fields")
        if not isinstance(fields, list):
            return node
        return {
            **node,
            "fields": [
                self._field(each, f"{at}.fields[{number}].type", namespace, depth)
                for number, each in enumerate(fields)
            ],
        }

    def _field(self, field: Any, at: str, namespace: str, depth: int) -> Any:
        if not isinstance(field, dict) or "type" not in field:
            return field
        return {**field, "type": self.node(field["type"], at, namespace, depth + 1)}


def _is_below(path: str, begins: str) -> bool:
    return path.startswith(begins) and path[len(begins) :][:1] in ("", ".", "[")


def _is_definition(node: Any) -> bool:
    return isinstance(node, dict) and node.get("type") in NAMED


def _own_namespace(node: Mapping[str, Any], namespace: str) -> dict[str, str]:
    """The namespace of a definition, said by itself: not that of the place where it comes to
    stand. A name with dots says it already."""
    says = "." in str(node.get("name")) or node.get("namespace") is not None
    return {} if says else {"namespace": namespace}


def _full_name(node: Mapping[str, Any], namespace: str) -> tuple[str, str]:
    """The namespace and the full name of a definition (specification, "Names")."""
    name, own = str(node.get("name")), node.get("namespace")
    if "." in name:
        return name.rpartition(".")[0], name
    space = own if isinstance(own, str) else namespace
    return space, in_namespace(name, space)
