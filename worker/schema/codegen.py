"""The generated encoder: one straight-line function a schema. The only place of the project that calls exec.

What is generated is expressions over names that this module made itself (`r.f3`, `V`, `E2`); nothing from a schema is ever pasted
into source except by `repr`. Datums are assumed valid: the plan has checked them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

from worker.schema.binary import FOLLOWED, LAST, varint
from worker.schema.logical import writer
from worker.schema.model import Field, Schema, Type, is_wide

SHORT: Final = LAST[
    ::2
]  # long -> bytes, of those from 0 on that have one or two; a list finds them twice as fast as a dict
SMALL: Final = len(SHORT)
MEDIUM: Final = SMALL * len(LAST)  # from SMALL to here there are three or four
CACHED_VALUES: Final = 20_000
CACHED_BYTES: Final = 72
WINDOW_ROWS: Final = 4_000
WARM_WINDOWS: Final = 4  # until then a table is still being filled
REST_ROWS: Final = 200_000
WORTH: Final = 4  # rows for each text that was new


class _Varints(dict[int, bytes]):
    """long -> bytes behind `prefix` (the branch of a union); those near 0 are remembered."""

    def __init__(self, prefix: bytes = b"") -> None:
        super().__init__()
        self._prefix = prefix

    def __missing__(self, value: int) -> bytes:
        encoded = self._prefix + varint(value)
        if -SMALL < value < SMALL:
            self[value] = encoded
        return encoded


class _Remembered(dict[Any, bytes]):
    """value -> bytes, until there are too many. `null`: what None is."""

    def __init__(self, encode: Callable[[Any], bytes], null: bytes | None = None) -> None:
        super().__init__()
        self._encode, self._null = encode, null

    def __missing__(self, value: Any) -> bytes:
        if value is None and self._null is not None:
            return self._null
        encoded = self._encode(value)
        if len(encoded) <= CACHED_BYTES:
            if len(self) >= CACHED_VALUES:
                self.clear()
            self[value] = encoded
        return encoded


class _Weighed(dict[Any, bytes]):
    """value -> bytes, as long as it pays: finding costs half of making, but making and remembering three times as much. Where values are new, `on` is off."""

    __slots__ = ("_misses", "_rows", "_windows", "on")

    def __init__(self) -> None:
        super().__init__()
        self._rows = self._misses = self._windows = 0
        self.on = True

    def keep(self, value: Any, encoded: bytes) -> bytes:
        """Remembers what was made of a value that was not found; returns it."""
        self._misses += 1
        if len(encoded) <= CACHED_BYTES:
            if len(self) >= CACHED_VALUES:
                self.clear()
            self[value] = encoded
        return encoded

    def weigh(self, rows: int) -> None:
        """Before `rows` records: decides whether it pays to look them up."""
        self._rows += rows
        if self._rows < (WINDOW_ROWS if self.on else REST_ROWS):
            return
        self._windows += 1
        if not self.on:
            self.on, self._windows = True, 0
        elif self._misses * WORTH > self._rows and self._windows > WARM_WINDOWS:
            self.on = False
            self.clear()
        self._rows = self._misses = 0


class _Texts(_Weighed):
    """text -> bytes behind `prefix`."""

    __slots__ = ("_prefix",)

    def __init__(self, prefix: bytes = b"") -> None:
        super().__init__()
        self._prefix = prefix

    def __missing__(self, value: str) -> bytes:
        data = value.encode()
        return self.keep(value, self._prefix + varint(len(data)) + data)


@cache
def _short(prefix: bytes) -> list[bytes]:
    """SHORT behind the branch of a union."""
    return [prefix + encoded for encoded in SHORT]


def _binary(value: bytes) -> bytes:
    return varint(len(value)) + value


def _bytes_writer(kind: Type) -> Callable[[Any], bytes] | None:
    """Datum -> bytes with their length, of a `bytes` or `fixed` whose datum is something else."""
    write = writer(kind)
    if write is None or kind.kind == "fixed":
        return write
    return lambda value: _binary(write(value))


def _nullable(kind: Type, prefix: bytes, null: bytes) -> Any:
    """A table value or None -> bytes of a union of null and one type, where one look-up does."""
    if kind.kind in ("int", "long"):
        return _Remembered(lambda value: prefix + varint(value), null)
    if kind.kind == "enum":
        return {
            None: null,
            **{symbol: prefix + varint(number) for number, symbol in enumerate(kind.symbols)},
        }
    return None


class Source:
    """Names and functions that generated code sees. What it binds is reachable by the name it returns, and by no other.

    `opening` is a statement that a function over `records` begins with.
    """

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.functions: list[str] = []
        self.opening = ""

    def bind(self, value: Any) -> str:
        """A fresh name for a value."""
        name = f"n{len(self.names)}"
        self.names[name] = value
        return name

    def define(self, text: str) -> None:
        """Source of a helper function, made by this package from its own names."""
        self.functions.append(text)


def compile_function(name: str, text: str, source: Source) -> Callable[..., Any]:
    """Compiles `text`, which defines the function `name`, over the names and helpers of `source`."""
    names = {"__builtins__": _BUILTINS, **source.names}
    exec("".join((*source.functions, text)), names)  # noqa: S102  # see the module
    function: Callable[..., Any] = names[name]
    return function


_BUILTINS: Final = {each.__name__: each for each in (abs, enumerate, float, len, round, str, tuple)}


class EncoderSource:
    """Expressions that encode values of a schema (the `RowEncoder` of Avro datums)."""

    ext = "avro"

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._known: dict[tuple[str, bool], str] = {}
        self._weighed: list[_Weighed] = []
        self._source = Source()

    def begin(self, source: Source) -> None:
        """Puts what encoders need into `source`."""
        source.names.update(
            V=_Varints(),
            L=_Remembered(varint),
            I=SHORT,
            M=FOLLOWED[::2],
            E=LAST,
            B=_binary,
            PF=struct.Struct("<f").pack,
            PD=struct.Struct("<d").pack,
            PBD=struct.Struct("<bd").pack,
            T=(b"\0", b"\1"),
            J=b"".join,
        )
        self._source, self._known, self._weighed = source, {}, []
        source.opening = f"for t in {source.bind(self._weighed)}: t.weigh(len(records))"

    def row(self, fields: Sequence[tuple[Field, str, bool]]) -> str:
        """An expression for a record, whose typed records are not functions of their own; see `RowEncoder`.

        Each record is joined by itself: the parts of a page would be a megabyte of list and of what `join` notes of them, and turn all else out of the cache.
        """
        return _joined(
            [
                part
                for each, code, struct_like in fields
                for part in self._flat(each.type, code, struct_like)
            ]
        )

    def value(self, kind: Type, value: str) -> str:
        """An expression for the bytes of a plain datum."""
        return self._value(kind, value, False)

    def _value(self, kind: Type, value: str, struct_like: bool) -> str:
        """An expression for the bytes of `value`. `struct_like`: records are Structs, else dicts."""
        kind = self._schema.resolve(kind)
        if kind.kind in ("bytes", "fixed") and (write := _bytes_writer(kind)) is not None:
            return f"{self._source.bind(write)}({value})"
        match kind.kind:
            case "null":
                return "b''"
            case "boolean":
                return f"T[{value}]"
            case "int" | "long" if kind.logical is not None:
                return f"L[{value}]"  # times repeat, however large
            case "int" | "long":
                medium = (
                    f"M[v & {SMALL - 1}] + E[v >> {SMALL.bit_length() - 1}] if 0 < v < {MEDIUM}"
                )
                return f"(I[v] if 0 <= (v := {value}) < {SMALL} else {medium} else V[v])"
            case "float":
                return f"PF({value})"
            case "double":
                return f"PD({value})"
            case "string":
                return self._text(value, b"")
            case "bytes":
                return f"B({value})"
            case "fixed":
                return value
            case "enum":
                return f"{self._source.bind({symbol: varint(number) for number, symbol in enumerate(kind.symbols)})}[{value}]"
            case "union":
                return self._union(kind, value, struct_like)
            case "array" | "map":
                return self._container(kind, value, struct_like)
            case _:
                return f"{self._function(kind, struct_like)}({value})"

    def _container(self, kind: Type, value: str, struct_like: bool) -> str:
        """An expression for an array or a map. Short ones of texts and the like repeat (tags, labels), so that they are looked up whole."""
        function = self._function(kind, struct_like)
        if kind.items is None or not self._keeps(kind.items):
            return f"{function}({value})"
        table = _Weighed()
        self._weighed.append(table)
        name, items = self._source.bind(table), f"{value}.items()" if kind.kind == "map" else value
        return f"({name}.get(c := tuple({items})) or {name}.keep(c, {function}({value})) if {name}.on else {function}({value}))"

    def _keeps(self, kind: Type) -> bool:
        """Equal values of the type have equal bytes, and can be keys of a table. Not so floats: 0.0 == -0.0."""
        kind = self._schema.resolve(kind)
        if kind.kind == "union":
            return not is_wide(kind) and all(self._keeps(branch) for branch in kind.branches)
        return kind.logical is None and kind.kind in (
            "null",
            "boolean",
            "int",
            "long",
            "string",
            "enum",
        )

    def _flat(self, kind: Type, code: str, struct_like: bool) -> list[str]:
        """Expressions for the parts of a value: a record that is a Struct is no function of its own (one level of it, so that source stays short)."""
        kind = self._schema.resolve(kind)
        if kind.kind != "record" or not struct_like:
            return [self._value(kind, code, struct_like)]
        return [
            self._value(each.type, f"{code}.f{number}", True)
            for number, each in enumerate(kind.fields)
        ]

    def _text(self, value: str, prefix: bytes) -> str:
        """An expression for a string."""
        table = _Texts(prefix)
        self._weighed.append(table)
        name, short = self._source.bind(table), self._source.bind(_short(prefix))
        made = f"({short}[n] if (n := len(d := {value}.encode())) < {SMALL} else {prefix!r} + V[n]) + d"
        return f"({name}[{value}] if {name}.on else {made})"

    def _union(self, kind: Type, value: str, struct_like: bool) -> str:
        if is_wide(kind):
            return f"{self._function(kind, struct_like)}({value})"
        rest = [
            (number, branch) for number, branch in enumerate(kind.branches) if branch.kind != "null"
        ]
        null = [number for number, branch in enumerate(kind.branches) if branch.kind == "null"]
        if not rest:
            return repr(varint(0))
        number, branch = rest[0]
        if not null:
            return f"{varint(number)!r} + {self._value(branch, value, struct_like)}"
        inner = self._schema.resolve(branch)
        if inner.kind in ("int", "long") and inner.logical is None:
            table = self._source.bind(_Varints(varint(number)))
            short = self._source.bind(_short(varint(number)))
            return f"({varint(null[0])!r} if (v := {value}) is None else {short}[v] if 0 <= v < {SMALL} else {table}[v])"
        if inner.kind == "string":
            return f"({varint(null[0])!r} if (v := {value}) is None else {self._text('v', varint(number))})"
        if (table := _nullable(inner, varint(number), varint(null[0]))) is not None:
            return f"{self._source.bind(table)}[{value}]"
        some = (
            f"PBD({number * 2}, v)"
            if inner.kind == "double"
            else f"{varint(number)!r} + {self._value(branch, 'v', struct_like)}"
        )
        return f"({varint(null[0])!r} if (v := {value}) is None else {some})"

    def _function(self, kind: Type, struct_like: bool) -> str:
        """The name of a function value -> bytes for a type that needs more than an expression."""
        key = (kind.name or repr(kind), struct_like)
        if key in self._known:
            return self._known[key]
        name = self._known[key] = f"f{len(self._known)}"
        if kind.kind == "record":
            access = [
                f"r.f{number}" if struct_like else f"r[{each.name!r}]"
                for number, each in enumerate(kind.fields)
            ]
            parts = [
                self._value(each.type, at, struct_like)
                for each, at in zip(kind.fields, access, strict=True)
            ]
            source = f"def {name}(r):\n    return {_joined(parts)}\n"
        elif kind.items is not None:
            keys = [self._text("k", b"")] if kind.kind == "map" else []
            parts = [*keys, *self._flat(kind.items, "x", struct_like)]
            each = "k, x in xs.items()" if keys else "x in xs"
            add, item = ("append", parts[0]) if len(parts) == 1 else ("extend", _tuple(parts))
            items = f"    out = []\n    add = out.{add}\n    for {each}: add({item})\n"
            source = f"def {name}(xs):\n    if not xs: return b'\\0'\n{items}    return V[len(xs)] + J(out) + b'\\0'\n"
        else:
            cases = "".join(
                f"    if i == {number}:\n        return {varint(number)!r} + {self._value(branch, 'x', struct_like)}\n"
                for number, branch in enumerate(kind.branches)
            )
            source = f"def {name}(b):\n    i, x = b.number, b.value\n{cases}"
        self._source.define(source)
        return name


def _tuple(parts: Sequence[str]) -> str:
    """Source of a tuple of the parts."""
    return f"({' '.join(f'{part},' for part in parts)})"


def _joined(parts: Sequence[str]) -> str:
    """Source of the bytes of all parts."""
    return f"J({_tuple(parts)})"


def compile_encoder(
    schema: Schema, typed_fields: Sequence[bool]
) -> Callable[[Sequence[Any]], bytes]:
    """The encoder of records of the root type. `typed_fields[i]`: field i decodes to its msgspec type."""
    source, encoder = Source(), EncoderSource(schema)
    encoder.begin(source)
    row = encoder.row(
        [
            (each, f"r.f{number}", typed_fields[number])
            for number, each in enumerate(schema.root.fields)
        ]
    )
    text = f"def encode(records):\n    {source.opening}\n    out = []\n    add = out.append\n    for r in records: add({row})\n    return J(out)\n"
    return compile_function("encode", text, source)


def compile_datum_encoder(schema: Schema) -> Callable[[Any], bytes]:
    """The encoder of one datum of any root type: records are dicts under their Avro names, values of wide unions `Branch`es."""
    source, encoder = Source(), EncoderSource(schema)
    encoder.begin(source)
    return compile_function(
        "encode", f"def encode(x):\n    return {encoder.value(schema.root, 'x')}\n", source
    )


@cache
def compile_lookup(attribute: str) -> Callable[[Sequence[Any], Callable[[Any], Any]], list[int]]:
    """A function that replaces the attribute of each record by what a `get` knows of it; returns the places of those it knows nothing of."""
    text = (
        "def lookup(records, get):\n    left = []\n    for i, r in enumerate(records):\n        try: x = get(r.{0})\n"
        "        except wrong: x = None\n        if x is None: left.append(i)\n        else: r.{0} = x\n    return left\n"
    )
    source = Source()
    source.names["wrong"] = TypeError  # a list or an object cannot be looked up
    return compile_function("lookup", text.format(attribute), source)
