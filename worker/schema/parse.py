"""Schema JSON -> Schema, strictly: what the Avro specification (1.12) forbids is an error with its
path.

fastavro and others accept duplicate fields, `["int", "int"]`, illegal names, and defaults of the
wrong type.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from worker.schema.defaults import check_defaults, json_type
from worker.schema.document import document_text, read_document, unwrapped
from worker.schema.errors import SchemaError
from worker.schema.ignored import beside_field, why_ignored
from worker.schema.logical import UNDERLYING, logical_type
from worker.schema.model import NO_DEFAULT, PRIMITIVES, Field, Schema, SchemaWarning, Type

MAX_DEPTH: Final = 64
MAX_LEVELS: Final = 100  # of types in types, through references to named types
MAX_NAMED: Final = 10_000
MAX_BRANCHES: Final = 1_000
MAX_FIXED: Final = 2**31 - 1
NAMED: Final = ("record", "error", "enum", "fixed")  # kinds of definitions in JSON
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
UNREADABLE_KEY: Final = re.compile(r'["\\\x00-\x1f]')
"""Characters of JSON keys that the typed decoder cannot look for."""
_NAME_RULE: Final = "letters, digits and _ are allowed, not a digit first"
_ITEMS: Final = {"array": "items", "map": "values"}  # kind -> the key of its inner type


def parse_schema(text: str | bytes, *, strict: bool = True) -> Schema:
    """Parses and checks a schema.

    Args:
        strict: also check defaults and the spelling of names. That is not for the schema in a file,
            which only tells how its data was written: the specification lets newer readers repair
            such schemas with aliases.

    Raises:
        SchemaError: the text is no schema, or it is beyond the limits of this module.
    """
    return parse_document(read_document(text), strict=strict)


def parse_document(document: Any, *, strict: bool = True) -> Schema:
    """`parse_schema` for a document that was read already."""
    parser = _Parser(strict)
    root = parser.type(document, "$", "", 0)
    source = document_text(unwrapped(document))
    root = parser.named[root.name] if root.kind == "ref" else root
    schema = Schema(root, parser.named, source, document, tuple(parser.warnings))
    if strict:
        check_defaults(parser.defaults, schema)  # whose types may be complete only now
    return schema


class _Parser:
    """Makes types of JSON nodes. `namespace` is the one that encloses a node."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._name_ok: Callable[[str], Any] = _NAME.fullmatch if strict else len
        self.named: dict[str, Type] = {}
        self.warnings: list[SchemaWarning] = []
        self.defaults: list[tuple[Type, Any, str]] = []
        self._declared: set[str] = set()
        self._levels: dict[str, int] = {}

    def type(self, node: Any, path: str, namespace: str, depth: int) -> Type:
        """The type that a node declares: a name, a union, or an object."""
        if depth > MAX_DEPTH:
            raise SchemaError(path, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, str):
            return self._reference(node, path, namespace)
        if isinstance(node, list):
            return self._union(node, path, namespace, depth)
        if isinstance(node, dict):
            return self._object(node, path, namespace, depth)
        raise SchemaError(path, f"found {json_type(node)}, a type name, object or array is allowed")

    def _object(self, node: dict[str, Any], path: str, namespace: str, depth: int) -> Type:
        kind = node.get("type")
        if isinstance(kind, dict | list):  # redundant wrapper {"type": {...}}
            inner = self.type(kind, f"{path}.type", namespace, depth + 1)
            return self._noted(inner, node, path)
        if not isinstance(kind, str):
            wrong = "no 'type'" if "type" not in node else f"{json_type(kind)} as 'type'"
            raise SchemaError(
                path, f"an object with {wrong}, a type name, object or array is allowed there"
            )
        if kind in NAMED:
            return self._named(kind, node, path, namespace, depth)
        if kind in _ITEMS:
            key = _ITEMS[kind]
            items = self.type(_needed(node, key, path), f"{path}.{key}", namespace, depth + 1)
            return self._noted(Type(kind, items=items), node, path)
        found = self._reference(kind, f"{path}.type", namespace)
        if found.kind in PRIMITIVES:
            found = logical_type(found, node, path)
        return self._noted(found, node, path)

    def _noted(self, kind: Type, node: dict[str, Any], path: str) -> Type:
        """The type of a node; a logical type that the node declares in vain is warned of."""
        if kind.logical is None and (why := why_ignored(node, kind)):
            self.warnings.append(SchemaWarning(path, why))
        return kind

    def _reference(self, name: str, path: str, namespace: str) -> Type:
        if name in PRIMITIVES:
            return Type(name)
        # As in Apache's libraries, a name without a namespace is found from inside one.
        for candidate in (in_namespace(name, namespace), name):
            if candidate in self._declared:
                return Type("ref", candidate)
        if name in UNDERLYING:
            base = UNDERLYING[name][0]
            raise SchemaError(
                path,
                f"{name!r} is a logical type, a type is needed",
                remedy=f'write {{"type": "{base}", "logicalType": "{name}"}}',
            )
        shown = sorted(self._declared)
        more = f" and {len(shown) - 10} more" if len(shown) > 10 else ""
        raise SchemaError(
            path,
            f"unknown type {name[:100]!r}; primitives are {', '.join(PRIMITIVES)},"
            f" named types so far: {', '.join(shown[:10]) or 'none'}{more}",
            remedy="of a type that another file defines, name that file:"
            " schema: {file: FILE, with: [OTHER FILE]}",
        )

    def _union(self, node: list[Any], path: str, namespace: str, depth: int) -> Type:
        if len(node) > MAX_BRANCHES:
            raise SchemaError(
                path, f"a union of {len(node)} branches, at most {MAX_BRANCHES} are allowed"
            )
        branches = []
        seen: set[str] = set()
        for number, each in enumerate(node):
            branch = self.type(each, f"{path}[{number}]", namespace, depth + 1)
            if branch.kind == "union":
                raise SchemaError(f"{path}[{number}]", "a union directly inside a union")
            label = branch.name or branch.kind
            if label in seen:
                raise SchemaError(
                    f"{path}[{number}]",
                    f"{label} occurs twice in the union;"
                    " only named types of different names may repeat a kind",
                )
            seen.add(label)
            branches.append(branch)
        return Type("union", branches=tuple(branches))

    def _named(
        self, kind: str, node: dict[str, Any], path: str, namespace: str, depth: int
    ) -> Type:
        full = self._full_name(node, path, namespace)
        if full in self._declared:
            raise SchemaError(f"{path}.name", f"{full!r} is defined already")
        if len(self._declared) >= MAX_NAMED:
            raise SchemaError(path, f"more than {MAX_NAMED} named types")
        self._declared.add(full)
        namespace = full.rpartition(".")[0]
        aliases = _aliases(node, path, namespace)
        if kind == "enum":
            found = self._enum(full, node, path)
        elif kind == "fixed":
            found = logical_type(Type("fixed", full, size=_size(node, path)), node, path)
        else:
            found = Type("record", full, fields=self._fields(node, path, namespace, depth))
        found = self.named[full] = replace(self._noted(found, node, path), aliases=aliases)
        self._levels[full] = 1 + max((self._level(each.type) for each in found.fields), default=0)
        if self._levels[full] > MAX_LEVELS:
            raise SchemaError(path, f"types refer to types more than {MAX_LEVELS} levels deep")
        return Type("ref", full)

    def _level(self, kind: Type) -> int:
        """How deep values of a type nest; a recursive type counts once."""
        if kind.kind == "ref":
            return self._levels.get(kind.name, 0)
        return 1 + max((self._level(part) for part in kind.parts), default=0)

    def _full_name(self, node: dict[str, Any], path: str, namespace: str) -> str:
        name = _needed(node, "name", path)
        inner = node.get("namespace")
        if inner is None:  # null too, which Apache's Python library writes
            inner = namespace
        if not isinstance(name, str):
            raise SchemaError(f"{path}.name", f"found {json_type(name)}, text is allowed")
        if not isinstance(inner, str):
            raise SchemaError(f"{path}.namespace", f"found {json_type(inner)}, text is allowed")
        full = in_namespace(name, inner)
        if not all(self._name_ok(part) for part in full.split(".")):
            raise SchemaError(
                f"{path}.name",
                f"{full[:100]!r} is not a valid name: {_NAME_RULE};"
                " a namespace is such names with dots between them",
            )
        if full.rpartition(".")[2] in PRIMITIVES:
            raise SchemaError(
                f"{path}.name", f"{full[:100]!r}: the names of primitive types cannot be defined"
            )
        return full

    def _enum(self, name: str, node: dict[str, Any], path: str) -> Type:
        if "symbols" not in node:
            raise SchemaError(path, "'symbols' is missing")
        symbols = _names(node, "symbols", path)
        for number, symbol in enumerate(symbols):
            if not self._name_ok(symbol):
                raise SchemaError(
                    f"{path}.symbols[{number}]",
                    f"{symbol[:100]!r} is not a valid name: {_NAME_RULE}",
                )
        if len(set(symbols)) != len(symbols):
            twice = Counter(symbols).most_common(1)[0][0]
            raise SchemaError(f"{path}.symbols", f"{twice!r} occurs twice")
        default = node.get("default")
        if "default" in node and (not isinstance(default, str) or default not in symbols):
            shown = repr(default[:100]) if isinstance(default, str) else json_type(default)
            raise SchemaError(
                f"{path}.default", f"{shown} is not one of the symbols {', '.join(symbols[:20])}"
            )
        return Type("enum", name, symbols=symbols, default_symbol=default)

    def _fields(
        self, node: dict[str, Any], path: str, namespace: str, depth: int
    ) -> tuple[Field, ...]:
        nodes = node.get("fields")
        if not isinstance(nodes, list):
            raise SchemaError(
                f"{path}.fields", f"found {_shown(node, 'fields')}, a list of fields is needed"
            )
        fields: list[Field] = []
        names: set[str] = set()
        json_names: set[str] = set()
        for number, each in enumerate(nodes):
            at = f"{path}.fields[{number}]"
            if not isinstance(each, dict):
                raise SchemaError(at, f"found {json_type(each)}, a field is an object")
            field = self._field(each, at, namespace, depth)
            if field.name in names or field.json_name in json_names:
                raise SchemaError(f"{at}.name", f"field {field.name!r} occurs twice")
            names.add(field.name)
            json_names.add(field.json_name)
            fields.append(field)
        self._check_aliases(fields, path)
        return tuple(fields)

    def _check_aliases(self, fields: list[Field], path: str) -> None:
        """Refuses an alias of two fields, and warns of one that is the name of another field.

        Schemas that data was written with have both.
        """
        owners: dict[str, str] = {}
        names = {each.name for each in fields}
        for number, each in enumerate(fields):
            at = f"{path}.fields[{number}].aliases"
            for alias in each.aliases:
                owner = owners.setdefault(alias, each.name)
                if self._strict and owner != each.name:
                    message = f"{alias[:100]!r} is an alias of field {owner!r} too"
                    raise SchemaError(at, message)
                if alias in names and alias != each.name:
                    message = f"{alias[:100]!r} is the name of another field, which takes its data"
                    self.warnings.append(SchemaWarning(at, message))

    def _field(self, node: dict[str, Any], path: str, namespace: str, depth: int) -> Field:
        name = _needed(node, "name", path)
        if not isinstance(name, str) or not self._name_ok(name):
            shown = repr(name[:100]) if isinstance(name, str) else json_type(name)
            raise SchemaError(
                f"{path}.name",
                f"{shown} is not a valid name: {_NAME_RULE}",
                remedy='give it a legal name and keep the other one as "json_name"',
            )
        json_name = node.get("json_name", name)
        if not isinstance(json_name, str):
            raise SchemaError(f"{path}.json_name", f"found {json_type(json_name)}, text is allowed")
        if (bad := UNREADABLE_KEY.search(json_name)) is not None:
            raise SchemaError(
                f"{path}.json_name",
                f"found the character {bad[0]!r},"
                " which the names of fields that are read cannot have",
            )
        order = node.get("order", "ascending")
        if order not in ("ascending", "descending", "ignore"):
            raise SchemaError(
                f"{path}.order",
                f"found {_shown(node, 'order')}, ascending, descending or ignore is allowed",
            )
        aliases = _names(node, "aliases", path)  # any text: they may repair illegal names
        kind = self.type(_needed(node, "type", path), f"{path}.type", namespace, depth + 1)
        if "default" in node:
            self.defaults.append((kind, node["default"], f"{path}.default"))
        if why := beside_field(node, kind, self.named):
            self.warnings.append(SchemaWarning(path, why))
        return Field(name, kind, json_name, node.get("default", NO_DEFAULT), aliases)


def in_namespace(name: str, namespace: str) -> str:
    """The full name of a name that stands in a namespace (specification, "Names")."""
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _aliases(node: dict[str, Any], path: str, namespace: str) -> tuple[str, ...]:
    """The aliases of a named type as full names: one without a dot is relative to the namespace of
    the type that has it (specification, "Aliases"). Any text may be an alias."""
    return tuple(in_namespace(alias, namespace) for alias in _names(node, "aliases", path))


def _names(node: dict[str, Any], key: str, path: str) -> tuple[str, ...]:
    found = node.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise SchemaError(f"{path}.{key}", f"found {_shown(node, key)}, a list of names is allowed")
    return tuple(found)


def _size(node: dict[str, Any], path: str) -> int:
    size = node.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_FIXED:
        raise SchemaError(
            f"{path}.size",
            f"found {_shown(node, 'size')},"
            f" a whole number of bytes from 0 to {MAX_FIXED} is needed",
        )
    return size


def _shown(node: dict[str, Any], key: str) -> str:
    if key not in node:
        return "nothing"
    value = node[key]
    return json_type(value) if isinstance(value, list | dict) else json.dumps(value)[:100]


def _needed(node: dict[str, Any], key: str, path: str) -> Any:
    if key not in node:
        raise SchemaError(path, f"{key!r} is missing")
    return node[key]
