"""Datums -> Avro bytes: one generated straight-line function per schema.

Datums are taken to be valid, because the plan has checked them.

Source: Avro specification, "Data Serialization and Deserialization", "Binary Encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from worker.schema.binary import FOLLOWED, LAST, varint
from worker.schema.codegen import CodeBuilder, compile_function
from worker.schema.encoded import (
    MEDIUM,
    SHORT,
    SMALL,
    Remembered,
    Texts,
    Varints,
    Weighed,
    short_after,
)
from worker.schema.logical import writer
from worker.schema.model import (
    Field,
    Schema,
    Type,
    by_kind,
    is_wide,
    null_branch,
    value_branch,
)


def compile_encoder(
    schema: Schema, typed_fields: Sequence[bool]
) -> Callable[[Sequence[Any]], bytes]:
    """The encoder of records of the root type.

    Args:
        typed_fields: for each field, whether it is decoded to its msgspec type.
    """
    code, rows = CodeBuilder(), AvroRows(schema)
    rows.begin(code)
    fields = zip(schema.root.fields, typed_fields, strict=True)
    row = rows.row([(each, f"r.f{number}", typed) for number, (each, typed) in enumerate(fields)])
    text = (
        "def encode(records):\n"
        f"    {code.opening}\n"
        "    out = []\n"
        "    add = out.append\n"
        f"    for r in records: add({row})\n"
        "    return J(out)\n"
    )
    return compile_function("encode", text, code)


def compile_datum_encoder(schema: Schema) -> Callable[[Any], bytes]:
    """The encoder of one datum of any root type. In the datum, records are dicts under their Avro
    names, and values of unions with several branches besides null are `Branch`es."""
    code, rows = CodeBuilder(), AvroRows(schema)
    rows.begin(code)
    text = f"def encode(x):\n    return {rows.value(schema.root, 'x')}\n"
    return compile_function("encode", text, code)


class _Optional(NamedTuple):
    """A union of null and one other type, with the bytes that name its two branches."""

    inner: Type
    prefix: bytes
    null: bytes


class AvroRows:
    """The `RowEncoder` of Avro datums: expressions for the bytes of values of a schema."""

    ext = "avro"

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._known: dict[tuple[str, bool], str] = {}
        self._weighed: list[Weighed] = []
        self._code = CodeBuilder()

    def begin(self, code: CodeBuilder) -> None:
        """Gives the code the names that encoders need."""
        code.names.update(
            V=Varints(),
            L=Remembered(varint),
            I=SHORT,
            M=FOLLOWED[::2],
            E=LAST,
            B=_sized,
            PF=struct.Struct("<f").pack,
            PD=struct.Struct("<d").pack,
            PBD=struct.Struct("<bd").pack,
            T=(b"\0", b"\1"),
            J=b"".join,
        )
        self._code, self._known, self._weighed = code, {}, []
        code.opening = f"for t in {code.bind(self._weighed)}: t.weigh(len(records))"

    def row(self, fields: Sequence[tuple[Field, str, bool]]) -> str:
        """See `RowEncoder`. A typed record in a field is no function of its own.

        Each record is joined by itself: the parts of a whole page, with what `join` notes of them,
        would be a megabyte of list, which drives everything else out of the cache.
        """
        return _joined(
            [
                part
                for each, value, struct_like in fields
                for part in self._flat(each.type, value, struct_like)
            ]
        )

    def value(self, kind: Type, value: str) -> str:
        """An expression for the bytes of a plain datum."""
        return self._value(kind, value, False)

    def _value(self, kind: Type, value: str, struct_like: bool) -> str:
        """An expression for the bytes of `value`. `struct_like`: records are Structs, not dicts."""
        kind = self._schema.resolve(kind)
        return self._VALUE[kind.kind](self, kind, value, struct_like)

    def _flat(self, kind: Type, value: str, struct_like: bool) -> list[str]:
        """Expressions for the parts of a value. A record that is a Struct is no function of its
        own; one level of it, so that the code stays short."""
        kind = self._schema.resolve(kind)
        if kind.kind != "record" or not struct_like:
            return [self._value(kind, value, struct_like)]
        return [
            self._value(each.type, f"{value}.f{number}", True)
            for number, each in enumerate(kind.fields)
        ]

    # -- values without inner types -------------------------------------------------------------

    def _whole(self, kind: Type, value: str, struct_like: bool) -> str:
        if kind.logical is not None:
            return f"L[{value}]"  # times repeat, however large
        medium = f"M[v & {SMALL - 1}] + E[v >> {SMALL.bit_length() - 1}] if 0 < v < {MEDIUM}"
        return f"(I[v] if 0 <= (v := {value}) < {SMALL} else {medium} else V[v])"

    def _string(self, kind: Type, value: str, struct_like: bool) -> str:
        return self._text(value, b"")

    def _bytes(self, kind: Type, value: str, struct_like: bool) -> str:
        write = writer(kind)
        if write is None:
            return f"B({value})"
        # What has a writer is a decimal, whose length is far below SMALL.
        return f"(I[len(d := {self._code.bind(write)}({value}))] + d)"

    def _fixed(self, kind: Type, value: str, struct_like: bool) -> str:
        write = writer(kind)
        return value if write is None else f"{self._code.bind(write)}({value})"

    def _enum(self, kind: Type, value: str, struct_like: bool) -> str:
        return f"{self._code.bind(_symbols(kind))}[{value}]"

    def _text(self, value: str, prefix: bytes) -> str:
        """An expression for a string after `prefix`."""
        table = Texts(prefix)
        self._weighed.append(table)
        name, short = self._code.bind(table), self._code.bind(short_after(prefix))
        length = f"n := len(d := {value}.encode())"
        made = f"({short}[n] if ({length}) < {SMALL} else {prefix!r} + V[n]) + d"
        return f"({name}[{value}] if {name}.on else {made})"

    # -- unions ---------------------------------------------------------------------------------

    def _union(self, kind: Type, value: str, struct_like: bool) -> str:
        number, null = value_branch(kind), null_branch(kind)
        if is_wide(kind):
            return self._call(kind, value, struct_like)
        if number is None:
            return repr(varint(0))
        prefix, inner = varint(number), self._schema.resolve(kind.branches[number])
        if null is None:
            return f"{prefix!r} + {self._value(inner, value, struct_like)}"
        return self._OPTIONAL[inner.kind](
            self, _Optional(inner, prefix, varint(null)), value, struct_like
        )

    def _optional(self, kind: _Optional, value: str, struct_like: bool) -> str:
        some = f"{kind.prefix!r} + {self._value(kind.inner, 'v', struct_like)}"
        return f"({kind.null!r} if (v := {value}) is None else {some})"

    def _optional_whole(self, kind: _Optional, value: str, struct_like: bool) -> str:
        prefix = kind.prefix
        if kind.inner.logical is not None:
            table = Remembered(lambda datum: prefix + varint(datum), kind.null)
            return f"{self._code.bind(table)}[{value}]"
        name, short = self._code.bind(Varints(prefix)), self._code.bind(short_after(prefix))
        some = f"{short}[v] if 0 <= v < {SMALL} else {name}[v]"
        return f"({kind.null!r} if (v := {value}) is None else {some})"

    def _optional_string(self, kind: _Optional, value: str, struct_like: bool) -> str:
        some = self._text("v", kind.prefix)
        return f"({kind.null!r} if (v := {value}) is None else {some})"

    def _optional_enum(self, kind: _Optional, value: str, struct_like: bool) -> str:
        table = {None: kind.null, **_symbols(kind.inner, kind.prefix)}
        return f"{self._code.bind(table)}[{value}]"

    def _optional_double(self, kind: _Optional, value: str, struct_like: bool) -> str:
        some = f"PBD({kind.prefix[0]}, v)"
        return f"({kind.null!r} if (v := {value}) is None else {some})"

    _OPTIONAL: Final[Mapping[str, Callable[[AvroRows, _Optional, str, bool], str]]] = by_kind(
        {
            "int long": _optional_whole,
            "string": _optional_string,
            "enum": _optional_enum,
            "double": _optional_double,
        },
        otherwise=_optional,
    )

    # -- types that need a function of their own ------------------------------------------------

    def _container(self, kind: Type, value: str, struct_like: bool) -> str:
        """An expression for an array or a map. Short ones of texts and the like repeat (tags,
        labels), so that they are looked up as a whole."""
        call = self._call(kind, value, struct_like)
        if kind.items is None or not self._repeats(kind.items):
            return call
        table = Weighed()
        self._weighed.append(table)
        name, items = self._code.bind(table), f"{value}.items()" if kind.kind == "map" else value
        known = f"{name}.get(c := tuple({items})) or {name}.keep(c, {call})"
        return f"({known} if {name}.on else {call})"

    def _repeats(self, kind: Type) -> bool:
        """Whether equal values of the type have equal bytes and can be keys of a table. Not so
        floats, because 0.0 == -0.0."""
        kind = self._schema.resolve(kind)
        if kind.kind == "union":
            return not is_wide(kind) and all(self._repeats(branch) for branch in kind.branches)
        return kind.logical is None and kind.kind in _HASHED

    def _call(self, kind: Type, value: str, struct_like: bool) -> str:
        """A call of the function value -> bytes of a type, which is made once."""
        key = (kind.name or repr(kind), struct_like)
        if key not in self._known:
            name = self._known[key] = f"f{len(self._known)}"
            self._code.define(self._FUNCTION[kind.kind](self, kind, name, struct_like))
        return f"{self._known[key]}({value})"

    def _record_function(self, kind: Type, name: str, struct_like: bool) -> str:
        parts = [
            self._value(each.type, f"r.f{n}" if struct_like else f"r[{each.name!r}]", struct_like)
            for n, each in enumerate(kind.fields)
        ]
        return f"def {name}(r):\n    return {_joined(parts)}\n"

    def _container_function(self, kind: Type, name: str, struct_like: bool) -> str:
        assert kind.items is not None
        keys = [self._text("k", b"")] if kind.kind == "map" else []
        parts = [*keys, *self._flat(kind.items, "x", struct_like)]
        each = "k, x in xs.items()" if keys else "x in xs"
        add, item = ("append", parts[0]) if len(parts) == 1 else ("extend", _tuple(parts))
        return (
            f"def {name}(xs):\n"
            "    if not xs: return b'\\0'\n"
            "    out = []\n"
            f"    add = out.{add}\n"
            f"    for {each}: add({item})\n"
            "    return V[len(xs)] + J(out) + b'\\0'\n"
        )

    def _union_function(self, kind: Type, name: str, struct_like: bool) -> str:
        cases = "".join(
            f"    if i == {n}:\n"
            f"        return {varint(n)!r} + {self._value(branch, 'x', struct_like)}\n"
            for n, branch in enumerate(kind.branches)
        )
        return f"def {name}(b):\n    i, x = b.number, b.value\n{cases}"

    _FUNCTION: Final[Mapping[str, Callable[[AvroRows, Type, str, bool], str]]] = {
        "record": _record_function,
        "array": _container_function,
        "map": _container_function,
        "union": _union_function,
    }

    _VALUE: Final[Mapping[str, Callable[[AvroRows, Type, str, bool], str]]] = by_kind(
        {
            "null": lambda self, kind, value, struct_like: "b''",
            "boolean": lambda self, kind, value, struct_like: f"T[{value}]",
            "int long": _whole,
            "float": lambda self, kind, value, struct_like: f"PF({value})",
            "double": lambda self, kind, value, struct_like: f"PD({value})",
            "string": _string,
            "bytes": _bytes,
            "fixed": _fixed,
            "enum": _enum,
            "union": _union,
            "array map": _container,
            "record": _call,
        }
    )


_HASHED: Final = ("null", "boolean", "int", "long", "string", "enum")


def _sized(value: bytes) -> bytes:
    """Bytes after their length."""
    return varint(len(value)) + value


def _symbols(kind: Type, prefix: bytes = b"") -> dict[str | None, bytes]:
    """Symbol of an enum -> its bytes after `prefix`."""
    return {symbol: prefix + varint(number) for number, symbol in enumerate(kind.symbols)}


def _tuple(parts: Sequence[str]) -> str:
    """Code of a tuple of the parts."""
    return f"({' '.join(f'{part},' for part in parts)})"


def _joined(parts: Sequence[str]) -> str:
    """Code of the bytes of all parts."""
    return f"J({_tuple(parts)})"
