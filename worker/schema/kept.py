"""What records have and their schema lacks, kept as JSON text in one field
(`validation: {unknown_fields: keep, into: FIELD}`).

The text is an object of the fields that the schema lacks, exactly as they were received: digits of
numbers, order and escapes stay. What a nested record has beyond its schema stands under the path of
that record: `{"address": {"zip": "1"}}`. An element of an array is named by its number from 0, a
value of a map by its key, and a value that names its branch (Avro's own JSON encoding) by that
name: `{"lines": {"2": {"note": "x"}}}`. Where nothing is left over, the field is null.

A value of the source under the name of FIELD is one that the schema lacks: it is kept, and never
read as what was kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, Final

import msgspec

from worker.schema.errors import SchemaError
from worker.schema.model import Field, Schema, Type, by_kind, is_nullable, is_wide, value_branch
from worker.schema.parse import parse_schema

HIDDEN: Final = "\ufdd0kept"
"""The name in JSON of the field that keeps. It begins with a code point that is no character
(Unicode, section 23.7), so no source has it by chance; one that has is still kept."""

Rest = Callable[[bytes], bytes | None]
"""JSON text of a value -> JSON text of what its type lacks; None where that is nothing."""
BranchOf = Callable[[Type], Callable[[tuple[str, ...]], int]]
"""Wide union -> keys of an object -> the number of the branch that the object is; -1 for none."""
Part = tuple[str, msgspec.Raw, Rest]
"""Name and text of a value, and what finds its rest."""


# -- the field ------------------------------------------------------------------------------------


def with_field(schema: Schema, name: str) -> Schema:
    """The schema with a nullable string field at the end of its root record, unless it is there.

    Raises:
        SchemaError: the field is there and has another type.
    """
    found = _field(schema, name)
    if found is not None:
        if not _is_nullable_string(found.type):
            raise SchemaError(
                f"$.fields.{name}",
                f"the field {name} keeps what the schema lacks, and is no nullable string",
                remedy='write its type as ["null", "string"], '
                "or name another field with validation.into",
            )
        return schema
    document = json.loads(schema.source)
    _record(document)["fields"].append({"name": name, "type": ["null", "string"], "default": None})
    return parse_schema(json.dumps(document, ensure_ascii=False), strict=False)


def hidden(schema: Schema, name: str) -> Schema:
    """The same schema, whose field of this name is read from no JSON record."""
    fields = tuple(
        replace(each, json_name=HIDDEN, default=None) if each.name == name else each
        for each in schema.root.fields
    )
    root = replace(schema.root, fields=fields)
    return replace(schema, root=root, named={**schema.named, root.name: root})


def without_field(schema: Schema, name: str) -> Schema:
    """The same schema without the field, for reading Avro that may have one of its name."""
    document = json.loads(schema.source)
    record = _record(document)
    record["fields"] = [each for each in record["fields"] if each["name"] != name]
    return parse_schema(json.dumps(document, ensure_ascii=False), strict=False)


def _field(schema: Schema, name: str) -> Field | None:
    return next((each for each in schema.root.fields if each.name == name), None)


def _is_nullable_string(kind: Type) -> bool:
    number = value_branch(kind)
    if number is None or is_wide(kind) or not is_nullable(kind):
        return False
    branch = kind.branches[number]
    return branch.kind == "string" and branch.logical is None


def _record(document: Any) -> dict[str, Any]:
    """The declaration of the root record, which may stand in a `type` of its own."""
    while isinstance(document["type"], dict):
        document = document["type"]
    found: dict[str, Any] = document
    return found


# -- records of JSON ------------------------------------------------------------------------------

_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def compile_rest(schema: Schema, branch_of: BranchOf, *, tagged: bool) -> Rest:
    """The function JSON text of a record -> JSON text of what the schema lacks, or None.

    It raises msgspec.DecodeError for what is no JSON, and takes records that are not valid too.

    Args:
        tagged: values of unions name their branch.
    """
    rest = _Rests(schema, branch_of, tagged=tagged).of(schema.root)
    assert rest is not None
    return rest


class _Rests:
    """Makes what finds the rest of values, None for types without records in them; that of a
    record is made once, however often it is named."""

    def __init__(self, schema: Schema, branch_of: BranchOf, *, tagged: bool) -> None:
        self._schema, self._branch_of, self._tagged = schema, branch_of, tagged
        self._named: dict[str, Rest] = {}

    def of(self, kind: Type) -> Rest | None:
        kind = self._schema.resolve(kind)
        return self._BY_KIND[kind.kind](self, kind)

    def _record(self, kind: Type) -> Rest:
        if kind.name not in self._named:
            plain: set[str] = set()
            nested: dict[str, Rest] = {}
            self._named[kind.name] = _rest_of_members(plain, nested)
            # filled below: recursive types find it
            for each in kind.fields:
                if each.json_name == HIDDEN:
                    continue
                if (inner := self.of(each.type)) is None:
                    plain.add(each.json_name)
                else:
                    nested[each.json_name] = inner
        return self._named[kind.name]

    def _array(self, kind: Type) -> Rest | None:
        item = None if kind.items is None else self.of(kind.items)
        if item is None:
            return None

        def rest(raw: bytes) -> bytes | None:
            if raw[:1] != b"[":
                return None
            found = ((str(number), each, item) for number, each in enumerate(_elements(raw)))
            return _object(found)

        return rest

    def _map(self, kind: Type) -> Rest | None:
        item = None if kind.items is None else self.of(kind.items)
        if item is None:
            return None

        def rest(raw: bytes) -> bytes | None:
            if raw[:1] != b"{":
                return None
            return _object((key, each, item) for key, each in _members(raw).items())

        return rest

    def _union(self, kind: Type) -> Rest | None:
        branches = [self.of(each) for each in kind.branches]
        if not any(branches):
            return None
        if self._tagged:
            tags = [each.name or each.kind for each in map(self._schema.resolve, kind.branches)]
            nested = {tag: each for tag, each in zip(tags, branches, strict=True) if each}
            return _rest_of_members(set(tags) - nested.keys(), nested)
        if not is_wide(kind):
            return branches[value_branch(kind) or 0]
        return self._wide(kind, branches)

    def _wide(self, kind: Type, branches: Sequence[Rest | None]) -> Rest:
        branch_of = self._branch_of(kind)
        kinds = [self._schema.resolve(each).kind for each in kind.branches]
        array = branches[kinds.index("array")] if "array" in kinds else None

        def rest(raw: bytes) -> bytes | None:
            if raw[:1] == b"[":
                return None if array is None else array(raw)
            if raw[:1] != b"{":
                return None
            number = branch_of(tuple(_members(raw)))
            branch = branches[number] if number >= 0 else None
            return None if branch is None else branch(raw)

        return rest

    _BY_KIND: Final[Mapping[str, Callable[[_Rests, Type], Rest | None]]] = by_kind(
        {"record": _record, "array": _array, "map": _map, "union": _union},
        otherwise=lambda self, kind: None,
    )


def _rest_of_members(plain: Set[str], nested: Mapping[str, Rest]) -> Rest:
    """Of objects whose members of `plain` names have no rest, and of `nested` names may have one;
    all others are left over."""

    def rest(raw: bytes) -> bytes | None:
        if raw[:1] != b"{":
            return None
        members = _members(raw)
        if members.keys() <= plain:
            return None
        return _object(
            (name, each, nested.get(name, _all))
            for name, each in members.items()
            if name not in plain
        )

    return rest


def _object(parts: Iterable[Part]) -> bytes | None:
    """The object of what is left of each value, under its name."""
    left = [
        b"%s:%s" % (msgspec.json.encode(name), inner)
        for name, each, rest in parts
        if (inner := rest(bytes(each))) is not None
    ]
    return b"{%s}" % b",".join(left) if left else None


def _all(raw: bytes) -> bytes:
    return raw
