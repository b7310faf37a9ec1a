"""The parsing canonical form of a schema and its fingerprints.

Source: Avro specification, "Parsing Canonical Form for Schemas" and "Schema Fingerprints".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Final

from worker.schema.model import Schema, Type, by_kind

_EMPTY: Final = 0xC15D213AA4D7A795


def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_EMPTY if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE: Final = _table()


def canonical_form(schema: Schema) -> str:
    """The schema without what does not change how its data is read: only full names, the
    attributes that are needed, and no white space."""
    return _Form(schema).of(schema.root)


class _Form:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._defined: set[str] = set()

    def of(self, kind: Type) -> str:
        kind = self._schema.resolve(kind)
        if kind.name in self._defined:
            return _quoted(kind.name)
        if kind.name:
            self._defined.add(kind.name)
        return self._BY_KIND[kind.kind](self, kind)

    def _primitive(self, kind: Type) -> str:
        return _quoted(kind.kind)

    def _union(self, kind: Type) -> str:
        return "[" + ",".join(self.of(branch) for branch in kind.branches) + "]"

    def _array(self, kind: Type) -> str:
        assert kind.items is not None
        return f'{{"type":"array","items":{self.of(kind.items)}}}'

    def _map(self, kind: Type) -> str:
        assert kind.items is not None
        return f'{{"type":"map","values":{self.of(kind.items)}}}'

    def _enum(self, kind: Type) -> str:
        symbols = ",".join(map(_quoted, kind.symbols))
        return f'{{"name":{_quoted(kind.name)},"type":"enum","symbols":[{symbols}]}}'

    def _fixed(self, kind: Type) -> str:
        return f'{{"name":{_quoted(kind.name)},"type":"fixed","size":{kind.size}}}'

    def _record(self, kind: Type) -> str:
        fields = ",".join(
            f'{{"name":{_quoted(each.name)},"type":{self.of(each.type)}}}' for each in kind.fields
        )
        return f'{{"name":{_quoted(kind.name)},"type":"record","fields":[{fields}]}}'

    _BY_KIND: Final[Mapping[str, Callable[[_Form, Type], str]]] = by_kind(
        {
            "union": _union,
            "array": _array,
            "map": _map,
            "enum": _enum,
            "fixed": _fixed,
            "record": _record,
        },
        otherwise=_primitive,
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def crc64(data: bytes) -> int:
    """The 64-bit Rabin fingerprint of the specification, CRC-64-AVRO."""
    crc = _EMPTY
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def fingerprint(schema: Schema) -> str:
    """The CRC-64-AVRO of the canonical form, as 16 hex digits."""
    return f"{crc64(canonical_form(schema).encode()):016x}"


def fingerprints(schema: Schema) -> dict[str, str]:
    """Algorithm -> hex digits, for every algorithm that the specification names."""
    form = canonical_form(schema).encode()
    return {
        "CRC-64-AVRO": f"{crc64(form):016x}",
        "MD5": hashlib.md5(form, usedforsecurity=False).hexdigest(),
        "SHA-256": hashlib.sha256(form).hexdigest(),
    }
