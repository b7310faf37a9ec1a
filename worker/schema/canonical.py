"""Parsing canonical form and its fingerprints (Avro specification, "Parsing Canonical Form for Schemas", "Schema Fingerprints")."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from worker.schema.model import Schema, Type

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
    """The schema without what does not matter: full names, no attributes but the needed ones, no white space."""
    return _form(schema.root, schema, set())


def _form(kind: Type, schema: Schema, written: set[str]) -> str:
    kind = schema.resolve(kind)
    if kind.name:
        if kind.name in written:
            return _quoted(kind.name)
        written.add(kind.name)
    match kind.kind:
        case "union":
            return "[" + ",".join(_form(branch, schema, written) for branch in kind.branches) + "]"
        case "array":
            assert kind.items is not None
            return '{"type":"array","items":' + _form(kind.items, schema, written) + "}"
        case "map":
            assert kind.items is not None
            return '{"type":"map","values":' + _form(kind.items, schema, written) + "}"
        case "enum":
            return f'{{"name":{_quoted(kind.name)},"type":"enum","symbols":[{",".join(map(_quoted, kind.symbols))}]}}'
        case "fixed":
            return f'{{"name":{_quoted(kind.name)},"type":"fixed","size":{kind.size}}}'
        case "record":
            fields = ",".join(
                f'{{"name":{_quoted(each.name)},"type":{_form(each.type, schema, written)}}}'
                for each in kind.fields
            )
            return f'{{"name":{_quoted(kind.name)},"type":"record","fields":[{fields}]}}'
        case _:
            return _quoted(kind.kind)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def crc64(data: bytes) -> int:
    """CRC-64-AVRO (Rabin fingerprint)."""
    crc = _EMPTY
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def fingerprint(schema: Schema) -> str:
    """CRC-64-AVRO, 16 hex digits."""
    return f"{crc64(canonical_form(schema).encode()):016x}"


def fingerprints(schema: Schema) -> dict[str, str]:
    """Hex digits of every fingerprint that the specification names."""
    form = canonical_form(schema).encode()
    return {
        "CRC-64-AVRO": f"{crc64(form):016x}",
        "MD5": hashlib.md5(form, usedforsecurity=False).hexdigest(),
        "SHA-256": hashlib.sha256(form).hexdigest(),
    }
