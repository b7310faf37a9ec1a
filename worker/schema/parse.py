"""Schema JSON -> Schema, strictly: what the Avro specification (1.12) forbids is an error with its path.

fastavro and others accept duplicate fields, `["int", "int"]`, bad names and defaults of the wrong type.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from worker.schema.errors import SchemaError
from worker.schema.model import NO_DEFAULT, PRIMITIVES, Field, Schema, Type

MAX_DEPTH: Final = 64
MAX_BYTES: Final = 1024 * 1024
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LIMITS: Final = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
_LOGICAL: Final = {
    "date": ("int",),
    "time-millis": ("int",),
    "time-micros": ("long",),
    "timestamp-millis": ("long",),
    "timestamp-micros": ("long",),
    "local-timestamp-millis": ("long",),
    "local-timestamp-micros": ("long",),
    "uuid": ("string",),
    "decimal": ("bytes", "fixed"),
}


def parse_schema(text: str | bytes) -> Schema:
    """Parses and checks a schema. Raises SchemaError."""
    if len(text) > MAX_BYTES:
        raise SchemaError("$", f"{len(text)} bytes, at most {MAX_BYTES} are allowed")
    try:
        document = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise SchemaError("$", f"no JSON document: {error}") from error
    parser = _Parser()
    root = parser.type(document, "$", "", 0)
    parser.check_defaults()
    source = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return Schema(parser.resolve(root), parser.named, source, document)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key stands twice in the object with keys {', '.join(sorted(found))}")
    return found


class _Parser:
    def __init__(self) -> None:
        self.named: dict[str, Type] = {}
        self._declared: set[str] = set()
        self._defaults: list[tuple[Type, Any, str]] = []

    def resolve(self, kind: Type) -> Type:
        return self.named[kind.name] if kind.kind == "ref" else kind

    def type(self, node: Any, path: str, namespace: str, depth: int) -> Type:
        if depth > MAX_DEPTH:
            raise SchemaError(path, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, str):
            return self._reference(node, path, namespace)
        if isinstance(node, list):
            return self._union(node, path, namespace, depth)
        if not isinstance(node, dict):
            raise SchemaError(path, f"found {_json_type(node)}, a type name, object or array is allowed")
        kind = node.get("type")
        if isinstance(kind, dict | list):  # redundant wrapper {"type": {...}}
            return self.type(kind, f"{path}.type", namespace, depth + 1)
        if kind in ("record", "error", "enum", "fixed"):
            return self._named(kind, node, path, namespace, depth)
        if kind == "array":
            return Type("array", items=self.type(_needed(node, "items", path), f"{path}.items", namespace, depth + 1))
        if kind == "map":
            return Type("map", items=self.type(_needed(node, "values", path), f"{path}.values", namespace, depth + 1))
        if not isinstance(kind, str):
            raise SchemaError(path, "an object without a type name in 'type'")
        found = self._reference(kind, f"{path}.type", namespace)
        return self._with_logical(found, node) if found.kind in PRIMITIVES else found

    def _reference(self, name: str, path: str, namespace: str) -> Type:
        if name in PRIMITIVES:
            return Type(name)
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        for candidate in (full, name):
            if candidate in self._declared:
                return Type("ref", candidate)
        known = ", ".join(sorted(self._declared)) or "none"
        raise SchemaError(path, f"unknown type {name!r}; primitives are {', '.join(PRIMITIVES)}, named types so far: {known}")

    def _union(self, node: list[Any], path: str, namespace: str, depth: int) -> Type:
        branches = tuple(self.type(branch, f"{path}[{number}]", namespace, depth + 1) for number, branch in enumerate(node))
        seen: set[str] = set()
        for number, branch in enumerate(branches):
            if branch.kind == "union":
                raise SchemaError(f"{path}[{number}]", "a union directly inside a union")
            label = branch.name or branch.kind
            if label in seen:
                raise SchemaError(f"{path}[{number}]", f"{label} stands twice in the union")
            seen.add(label)
        return Type("union", branches=branches)

    def _named(self, kind: str, node: dict[str, Any], path: str, namespace: str, depth: int) -> Type:
        name = _needed(node, "name", path)
        inner = node.get("namespace", namespace)
        if not isinstance(name, str) or not isinstance(inner, str):
            raise SchemaError(path, "name and namespace are text")
        full = name if "." in name or not inner else f"{inner}.{name}"
        for part in full.split("."):
            if not _NAME.fullmatch(part):
                raise SchemaError(f"{path}.name", f"{full!r} is no name: letters, digits and _ are allowed, not a digit first")
        if full in self._declared or full in PRIMITIVES:
            raise SchemaError(f"{path}.name", f"{full!r} is defined already")
        self._declared.add(full)
        namespace = full.rpartition(".")[0]
        if kind == "enum":
            found = self._enum(full, node, path)
        elif kind == "fixed":
            size = node.get("size")
            if not isinstance(size, int) or isinstance(size, bool) or size < 0:
                raise SchemaError(f"{path}.size", "a whole number of bytes is needed")
            found = self._with_logical(Type("fixed", full, size=size), node)
        else:
            found = Type("record", full, fields=self._fields(node, path, namespace, depth))
        self.named[full] = found
        return Type("ref", full)

    def _enum(self, name: str, node: dict[str, Any], path: str) -> Type:
        symbols = node.get("symbols")
        if not isinstance(symbols, list) or not all(isinstance(symbol, str) and _NAME.fullmatch(symbol) for symbol in symbols):
            raise SchemaError(f"{path}.symbols", "a list of names is needed")
        if len(set(symbols)) != len(symbols):
            raise SchemaError(f"{path}.symbols", "a symbol stands twice")
        default = node.get("default")
        if default is not None and default not in symbols:
            raise SchemaError(f"{path}.default", f"{default!r} is none of the symbols {', '.join(symbols)}")
        return Type("enum", name, symbols=tuple(symbols), default_symbol=default)

    def _fields(self, node: dict[str, Any], path: str, namespace: str, depth: int) -> tuple[Field, ...]:
        nodes = node.get("fields")
        if not isinstance(nodes, list):
            raise SchemaError(f"{path}.fields", "a list of fields is needed")
        fields: list[Field] = []
        names: set[str] = set()
        json_names: set[str] = set()
        for number, each in enumerate(nodes):
            at = f"{path}.fields[{number}]"
            if not isinstance(each, dict):
                raise SchemaError(at, "a field is an object")
            name = _needed(each, "name", at)
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise SchemaError(f"{at}.name", f"{name!r} is no name", remedy='give it a legal name and keep the other one as "json_name"')
            json_name = each.get("json_name", name)
            if name in names or json_name in json_names:
                raise SchemaError(f"{at}.name", f"field {name!r} stands twice")
            names.add(name)
            json_names.add(json_name)
            kind = self.type(_needed(each, "type", at), f"{at}.type", namespace, depth + 1)
            if "default" in each:
                self._defaults.append((kind, each["default"], f"{at}.default"))
            fields.append(Field(name, kind, json_name, each.get("default", NO_DEFAULT)))
        return tuple(fields)

    def _with_logical(self, kind: Type, node: dict[str, Any]) -> Type:
        """The type with its logical type; an unknown or unfit one is ignored, as the specification says."""
        logical = node.get("logicalType")
        if not isinstance(logical, str) or kind.kind not in _LOGICAL.get(logical, ()):
            return kind
        precision, scale = node.get("precision", 0), node.get("scale", 0)
        if logical == "decimal":
            whole = isinstance(precision, int) and isinstance(scale, int) and precision > 0 and 0 <= scale <= precision
            if not whole or (kind.kind == "fixed" and precision > math.floor(math.log10(2) * (8 * kind.size - 1))):
                return kind
        return Type(kind.kind, kind.name, size=kind.size, logical=logical, precision=precision, scale=scale)

    def check_defaults(self) -> None:
        """Defaults may refer to types that are complete only at the end."""
        for kind, value, path in self._defaults:
            self._default(kind, value, path)

    def _default(self, kind: Type, value: Any, path: str) -> None:
        kind = self.resolve(kind)
        if kind.kind == "union":
            if not kind.branches:
                raise SchemaError(path, "an empty union has no default")
            errors = []
            for branch in kind.branches:  # specification 1.12: the default may be of any branch
                try:
                    self._default(branch, value, path)
                    return
                except SchemaError as error:
                    errors.append(error)
            raise errors[0]
        if not self._fits(kind, value):
            raise SchemaError(path, f"{_json_type(value)} is no default for {kind.kind}")
        if kind.kind == "array" and kind.items:
            for number, item in enumerate(value):
                self._default(kind.items, item, f"{path}[{number}]")
        if kind.kind == "map" and kind.items:
            for key, item in value.items():
                self._default(kind.items, item, f"{path}.{key}")
        if kind.kind == "record":
            for each in kind.fields:
                if each.name in value:
                    self._default(each.type, value[each.name], f"{path}.{each.name}")
                elif each.default is NO_DEFAULT:
                    raise SchemaError(path, f"the default lacks field {each.name!r}")

    def _fits(self, kind: Type, value: Any) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        match kind.kind:
            case "null":
                return value is None
            case "boolean":
                return isinstance(value, bool)
            case "int" | "long":
                low, high = _LIMITS[kind.kind]
                return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
            case "float" | "double":
                return number and math.isfinite(value)
            case "string":
                return isinstance(value, str)
            case "bytes":
                return isinstance(value, str) and all(ord(char) < 256 for char in value)
            case "fixed":
                return isinstance(value, str) and len(value) == kind.size and all(ord(char) < 256 for char in value)
            case "enum":
                return value in kind.symbols
            case "array":
                return isinstance(value, list)
            case _:
                return isinstance(value, dict)


def _needed(node: dict[str, Any], key: str, path: str) -> Any:
    if key not in node:
        raise SchemaError(path, f"{key!r} is missing")
    return node[key]


def _json_type(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "text", bool: "a boolean", int: "a number", float: "a number", type(None): "null"}
    return names[type(value)]
