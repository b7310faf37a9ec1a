"""Avro datums -> plain values, read as the same schema or as another (resolution): one generated function a pair of schemas.

The generated code only knows that something is wrong; then `walk.explain` finds out where and what. `d` is the data, `p` the position,
`e` the end of the data, and `c` what is left of the limits: items, depth, items without bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from worker.schema.codegen import Source, compile_datum_encoder, compile_function
from worker.schema.compat import problems
from worker.schema.defaults import default_datum
from worker.schema.errors import CorruptDatum, SchemaError
from worker.schema.limits import Limits
from worker.schema.logical import read_uuid, text_of
from worker.schema.logical import reader as bytes_reader
from worker.schema.model import NO_DEFAULT, Field, Schema, Type, is_wide
from worker.schema.primitives import (
    END,
    LONG,
    Broken,
    Remembered,
    Symbols,
    Unresolved,
    read_int,
    read_long,
    read_size,
    read_unsigned,
)
from worker.schema.resolve import Pair, fields_of
from worker.schema.sizes import Sizes
from worker.schema.values import Branch
from worker.schema.walk import explain

SLICE_BYTES: Final = 1024 * 1024
SLICE_VALUES: Final = 100_000  # by their weight; see sizes.py
BROKEN: Final = (
    Broken,
    Unresolved,
    LookupError,
    ValueError,
    ArithmeticError,
    struct.error,
    RecursionError,
)
"""Everything that generated code can raise on bad data: indices past the end, unknown symbols, bad UTF-8, what is no decimal."""


class Stop(Exception):
    """A datum that begins at `at` is broken."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


class DatumReader:
    """Reads datums of `writer` as values of `reader` (by default the same).

    Values: records are dicts; times whole numbers in their unit, decimals `Decimal`, uuids text, bytes and durations `bytes`.

    Args:
        text: times and durations as text that people read.
        branches: values of unions with several branches besides null as `Branch`, so that they can be encoded again.
        strict: what JSON records may not have is refused here too: NaN and infinities, texts that are no uuid where one belongs.

    Raises SchemaError when no datum of `writer` can be read as `reader`.
    """

    def __init__(
        self,
        writer: Schema,
        reader: Schema | None = None,
        *,
        limits: Limits | None = None,
        text: bool = False,
        branches: bool = False,
        strict: bool = False,
    ) -> None:
        self.writer, self.reader, self.limits = writer, reader or writer, limits or Limits()
        try:
            never = (
                []
                if reader is None
                else [each for each in problems(writer, reader) if not each.some]
            )
            if never:
                raise SchemaError(
                    never[0].path,
                    f"{never[0].message}: data of the writer's schema cannot be read as the reader's",
                )
            sizes = Sizes(writer)
            self._read = _Code(
                writer, self.reader, sizes, self.limits, text, branches, strict
            ).compile()
            self.smallest, self.weight = sizes.smallest(writer.root), sizes.item(writer.root)
        except RecursionError as error:
            raise SchemaError("$", "types refer to each other too deeply") from error

    def one(self, data: bytes, start: int = 0) -> Any:
        """The datum that `data` is from `start` on, to its end. Raises CorruptDatum."""
        found, end, problem = self.several(data, start, 1, [0, 0, self.limits.empty])
        if problem is not None:
            raise problem
        if end != len(data):
            raise CorruptDatum("$", end, f"{len(data) - end} bytes behind the datum")
        return found[0]

    def several(
        self, data: bytes, start: int, rows: int, left: list[int]
    ) -> tuple[list[Any], int, CorruptDatum | None]:
        """Up to `rows` datums from `start` on, fewer when they are large: they, where the next begins, and what stopped it.

        `left[2]` is how many values may still come in records and items without bytes; it is counted down.
        """
        out: list[Any] = []
        empty = left[2]
        try:
            end = self._read(data, start, len(data), rows, left, out)
        except Stop as stop:
            return out, stop.at, self._problem(data, stop, len(out), empty)
        return out, end, None

    def all(self, data: bytes, rows: int, left: list[int]) -> Iterator[list[Any]]:
        """Exactly `rows` datums that fill `data`, in slices. Raises CorruptDatum after the good ones."""
        at = done = 0
        if self.smallest == 0:
            left[2] -= rows * self.weight
        if rows * self.smallest > len(data) or left[2] < 0:
            raise CorruptDatum(
                "$", 0, f"{rows} records in {len(data)} bytes, each has at least {self.smallest}"
            )
        while done < rows:
            found, at, problem = self.several(data, at, rows - done, left)
            if found:
                yield found
            done += len(found)
            if problem is not None:
                problem.record = done
                raise problem
        if at != len(data):
            raise CorruptDatum(
                "$", at, f"{len(data) - at} bytes behind the last of {rows} records", record=rows
            )

    def _problem(self, data: bytes, stop: Stop, record: int, empty: int) -> CorruptDatum:
        try:
            explain(data, stop.at, self.writer, self.limits, empty)
        except CorruptDatum as error:
            error.record, error.__cause__ = record, stop.__cause__
            return error
        cause = stop.__cause__
        assert cause is not None
        path = cause.path if isinstance(cause, Unresolved) else "$"
        problem = CorruptDatum(
            path, stop.at, str(cause)[:200] or type(cause).__name__, record=record
        )
        problem.__cause__ = cause
        return problem


class _Code(Pair):
    """The generated source of one pair."""

    def __init__(
        self,
        writer: Schema,
        reader: Schema,
        sizes: Sizes,
        limits: Limits,
        text: bool,
        branches: bool,
        strict: bool,
    ) -> None:
        super().__init__(writer, reader)
        self._sizes, self._limits, self._text, self._branches, self._strict = (
            sizes,
            limits,
            text,
            branches,
            strict,
        )
        self._known: dict[tuple[str, ...], str] = {}
        self._lines: list[str] = []
        self._indent = self._loops = self._locals = self._functions = 0
        self._source = Source()
        self._source.names.update(
            Z=LONG, T=(False, True), S=Remembered(), I=read_int, J=read_long, N=read_size, U=read_unsigned, X=Broken, Stop=Stop, END=END,
            BAD=BROKEN, Q=Unresolved, F=struct.Struct("<f").unpack_from, D=struct.Struct("<d").unpack_from, B=Branch, range=range,
        )  # fmt: skip

    def compile(self) -> Callable[..., int]:
        """`read(d, p, e, rows, c, out) -> position`."""
        self._indent = 3
        target = self._local()
        written, read = self.writer.root, self.reader.root
        if (
            written.kind == read.kind == "record"
            and written.name not in self._sizes.recursive
            and self.mismatch(written, read) is None
        ):
            self._record(written, read, target, "$")  # in place: a call a record is worth saving
        else:
            self._value(written, read, target, "$")
        items, depth = self._limits.items - self._sizes.weight(written), self._limits.depth
        if items < 0:
            self._lines = ["            raise END\n"]
        text = (
            "def read(d, p, e, rows, c, out):\n    add = out.append\n    first = s = p\n    spent = 0\n    try:\n"
            f"        for _ in range(rows):\n            s = p\n            c[0] = {items}\n            c[1] = {depth}\n"
            + "".join(self._lines)
            + f"            if p > e or p - s > {self._limits.datum}: raise END\n            add({target})\n            spent += {self._limits.items} - c[0]\n"
            f"            if p - first > {SLICE_BYTES} or spent > {SLICE_VALUES}: break\n"
            "    except BAD as x:\n        raise Stop(s) from x\n    return p\n"
        )
        return compile_function("read", text, self._source)

    # -- source -------------------------------------------------------------------------------------------------------

    def _line(self, text: str) -> None:
        self._lines.append(f"{'    ' * self._indent}{text}\n")

    def _local(self) -> str:
        self._locals += 1
        return f"v{self._locals}"

    def _refuse(self, target: str, path: str, message: str) -> None:
        self._line(f"{target} = None")
        self._line(f"raise {self._source.bind(partial(Unresolved, path, message))}()")

    def _call(self, key: tuple[str, ...] | None, target: str, emit: Callable[[str], None]) -> None:
        """A call of a function of its own: types that hold themselves need one, and loops can be nested only so far."""
        name = self._known.get(key) if key is not None else None
        if name is None:
            self._functions += 1
            name = f"f{self._functions}"
            if key is not None:
                self._known[key] = name
            outer, self._lines = self._lines, []
            indent, self._indent = self._indent, 1
            loops, self._loops = self._loops, 0
            inner = self._local()
            emit(inner)
            self._source.define(
                f"def {name}(d, p, e, c):\n{''.join(self._lines)}    return {inner}, p\n"
            )
            self._lines, self._indent, self._loops = outer, indent, loops
        self._line(f"{target}, p = {name}(d, p, e, c)")

    # -- values -------------------------------------------------------------------------------------------------------

    def _value(self, written: Type, read: Type, target: str, path: str) -> None:
        """Source that reads a `written` as a `read` into the local `target`."""
        written, read = self.writer.resolve(written), self.reader.resolve(read)
        if written.kind == "union":
            self._union(written, read, target, path)
        elif read.kind == "union":
            self._into_union(written, read, target, path)
        elif (wrong := self.mismatch(written, read)) is not None:
            self._refuse(target, path, wrong[1])
        elif written.kind == "record":
            self._line("try:")
            self._indent += 1
            self._call(
                ("read", written.name, read.name),
                target,
                lambda inner: self._record(written, read, inner, ""),
            )  # may stand elsewhere too
            self._indent -= 1
            self._line("except Q as x:")
            self._line(f"    x.path = {path!r} + x.path")
            self._line("    raise")
        elif written.kind in ("array", "map"):
            if self._loops:
                self._call(None, target, lambda inner: self._blocks(written, read, inner, path))
            else:
                self._blocks(written, read, target, path)
        else:
            self._scalar(written, read, target, path)

    def _union(self, written: Type, read: Type, target: str, path: str) -> None:
        raw = self._local()
        self._line(f"{raw} = d[p]")
        self._line("p += 1")
        self._line(f"if {raw} > 127: {raw}, p = U(d, p - 1)")
        word = "if"
        numbered = sorted(
            enumerate(written.branches), key=lambda each: each[1].kind == "null"
        )  # null is the rarer one, mostly
        for number, branch in numbered:
            self._line(f"{word} {raw} == {number * 2}:")
            self._indent += 1
            label = self.writer.resolve(branch).name or branch.kind
            self._value(branch, read, target, path if len(numbered) == 1 else f"{path}|{label}")
            self._indent -= 1
            word = "elif"
        if numbered:
            self._line("else: raise END")
        else:
            self._line(f"{target} = None")
            self._line("raise END")

    def _into_union(self, written: Type, read: Type, target: str, path: str) -> None:
        number = self.branch(written, read)
        if number is None:
            allowed = (
                ", ".join(self.reader.resolve(each).name or each.kind for each in read.branches)
                or "nothing"
            )
            self._refuse(
                target,
                path,
                f"{written.name or written.kind} is no branch of the reader's union of {allowed}",
            )
            return
        self._value(written, read.branches[number], target, path)
        if self._branches and is_wide(read):
            self._line(f"{target} = B({number}, {target})")

    def _record(self, written: Type, read: Type, target: str, path: str) -> None:
        recursive = self._nest(written)
        sources = fields_of(written, read)
        values: dict[str, str] = {}
        for each in written.fields:
            if each.name in sources:
                values[sources[each.name].name] = value = self._local()
                self._value(each.type, sources[each.name].type, value, f"{path}.{each.name}")
            else:
                self._skip(each.type)
        for each in read.fields:
            if each.name not in values:
                if each.default is NO_DEFAULT:
                    self._refuse(
                        target,
                        f"{path}.{each.name}",
                        "the writer has no such field, and the reader's has no default",
                    )
                    return
                values[each.name] = self._default(each)
        if recursive:
            self._line("c[1] += 1")
        self._line(
            f"{target} = {{{', '.join(f'{each.name!r}: {values[each.name]}' for each in read.fields)}}}"
        )

    def _nest(self, kind: Type) -> bool:
        """Counts a record that can hold itself; whether it is one."""
        if kind.name not in self._sizes.recursive:
            return False
        self._line("c[1] -= 1")
        self._line(f"c[0] -= {self._sizes.own_weight(kind)}")
        self._line("if c[1] < 0 or c[0] < 0: raise END")
        return True

    def _default(self, field: Field) -> str:
        """Source of the default of a field: read from its encoding, so that it looks like every other value."""
        schema = Schema(self.reader.resolve(field.type), self.reader.named, "")
        data = compile_datum_encoder(schema)(default_datum(field.type, field.default, schema))
        read = DatumReader(schema, limits=self._limits, text=self._text, branches=self._branches)
        value = read.one(data)
        if isinstance(value, list | dict | Branch):
            return f"{self._source.bind(partial(read.one, data))}()"
        return self._source.bind(value)

    def _blocks(self, written: Type, read: Type, target: str, path: str) -> None:
        assert written.items is not None and read.items is not None
        count, end, key = self._local(), self._local(), self._local()
        is_map = written.kind == "map"
        self._line(f"{target} = {'{}' if is_map else '[]'}")
        self._begin_blocks(count, end, written)
        item = self._local()
        if is_map:
            self._text_at(key)
        self._value(written.items, read.items, item, f"{path}{{}}" if is_map else f"{path}[]")
        self._line(f"{target}[{key}] = {item}" if is_map else f"{target}.append({item})")
        self._end_blocks(end)

    def _begin_blocks(self, count: str, end: str, kind: Type) -> None:
        assert kind.items is not None
        weight = self._sizes.item(kind.items)
        self._loops += 1
        self._line("while True:")
        self._indent += 1
        self._line(f"{count}, p = J(d, p)")
        self._line(f"if {count} == 0: break")
        self._line(f"{end} = -1")
        self._line(f"if {count} < 0:")
        self._line(f"    {end}, p = N(d, p)")
        self._line(f"    {end} += p")
        self._line(f"    {count} = -{count}")
        self._line(f"c[0] -= {count}{f' * {weight}' if weight > 1 else ''}")
        self._line("if c[0] < 0: raise END")
        if kind.kind == "array" and self._sizes.smallest(kind.items) == 0:
            self._line(f"c[2] -= {count} * {weight}")
            self._line("if c[2] < 0: raise END")
        self._line(f"for _ in range({count}):")
        self._indent += 1

    def _end_blocks(self, end: str) -> None:
        self._indent -= 1
        self._line(f"if {end} >= 0 and p != {end}: raise END")
        self._indent -= 1
        self._loops -= 1

    def _scalar(self, written: Type, read: Type, target: str, path: str) -> None:
        """A type without inner types. Numbers of up to two bytes are read in place."""
        match written.kind:
            case "null":
                self._line(f"{target} = None")
            case "boolean":
                self._line(f"{target} = T[d[p]]")
                self._line("p += 1")
            case "int" | "long":
                self._number(target, "I" if written.kind == "int" else "J")
            case "float" | "double":
                self._line(f"({target},) = {'F' if written.kind == 'float' else 'D'}(d, p)")
                self._line(f"p += {4 if written.kind == 'float' else 8}")
            case "string" if read.kind == "string":
                self._text_at(target)
            case "string" | "bytes":
                self._slice(target)
            case "fixed":
                self._line(f"{target} = d[p:p + {written.size}]")
                self._line(f"p += {written.size}")
                self._line("if p > e: raise END")
            case _:
                self._enum(written, read, target, path)
        if (convert := self._conversion(written, read)) is not None:
            self._line(f"{target} = {self._source.bind(convert)}({target})")
        if self._strict:
            self._strictly(read, target, path)

    def _strictly(self, read: Type, target: str, path: str) -> None:
        """What a value must be that JSON could bring as well."""
        if read.kind in ("float", "double"):
            problem = self._source.bind(
                partial(Unresolved, path, "NaN or an infinity, a finite number is needed")
            )
            self._line(f"if {target} - {target} != 0.0: raise {problem}()")
        elif read.kind == "string" and read.logical == "uuid":
            self._line(f"{target} = {self._source.bind(partial(_uuid, path))}({target})")

    def _number(self, target: str, long: str) -> None:
        second = self._local()
        self._line(f"{target} = d[p]")
        self._line(f"if {target} < 128:")
        self._line(f"    {target} = Z[{target}]")
        self._line("    p += 1")
        self._line("else:")
        self._line(f"    {second} = d[p + 1]")
        self._line(f"    if {second} < 128:")
        self._line(f"        {target} = Z[({second} << 7) + {target} - 128]")
        self._line("        p += 2")
        self._line(f"    else: {target}, p = {long}(d, p)")

    def _text_at(self, target: str) -> None:
        self._end_of(target)
        self._line(f"{target} = S[d[p:q]]")
        self._line("p = q")

    def _slice(self, target: str) -> None:
        self._end_of(target)
        self._line(f"{target} = d[p:q]")
        self._line("p = q")

    def _end_of(self, raw: str) -> None:
        """Sets `p` behind a length and `q` to the end of what it says."""
        self._line(f"{raw} = d[p]")
        self._line(f"if {raw} & 129:")
        self._line(f"    {raw}, p = N(d, p)")
        self._line(f"    q = p + {raw}")
        self._line("else:")
        self._line("    p += 1")
        self._line(f"    q = p + ({raw} >> 1)")
        self._line("if q > e: raise END")

    def _enum(self, written: Type, read: Type, target: str, path: str) -> None:
        table, symbols = Symbols(path, read.symbols), frozenset(read.symbols)
        for number, symbol in enumerate(written.symbols):
            known = symbol if symbol in symbols else read.default_symbol
            if known is not None:
                table[number * 2] = known
            else:
                table.missing[number * 2] = symbol
        self._line(f"{target} = d[p]")
        self._line("p += 1")
        self._line(f"if {target} > 127: {target}, p = U(d, p - 1)")
        self._line(f"{target} = {self._source.bind(table)}[{target}]")

    def _conversion(self, written: Type, read: Type) -> Callable[[Any], Any] | None:
        """What is left to do with a value that was read."""
        if read.kind in ("float", "double"):
            if written.kind in ("int", "long"):
                return _to_float if read.kind == "float" else float
            return None
        if read.kind in ("bytes", "fixed") and read.logical not in (None, "duration"):
            return bytes_reader(read)
        if written.kind == "bytes" and read.kind == "string":
            return bytes.decode
        return text_of(read) if self._text else None

    # -- fields that nobody wants ---------------------------------------------------------------------------------------

    def _skip(self, kind: Type) -> None:
        kind = self.writer.resolve(kind)
        match kind.kind:
            case "null":
                return
            case "boolean":
                self._line("T[d[p]]")
                self._line("p += 1")
            case "int" | "long" | "enum":
                self._scalar(kind, kind, self._local(), "$")
            case "float" | "double" | "fixed":
                self._line(
                    f"p += {kind.size if kind.kind == 'fixed' else 4 if kind.kind == 'float' else 8}"
                )
                self._line("if p > e: raise END")
            case "string" | "bytes":
                self._end_of(self._local())
                self._line("p = q")
            case "union":
                self._skip_union(kind)
            case "record":
                self._call(("skip", kind.name), "_", lambda inner: self._skip_record(kind, inner))
            case _:
                self._call(None, "_", lambda inner: self._skip_blocks(kind, inner))

    def _skip_union(self, kind: Type) -> None:
        raw = self._local()
        self._line(f"{raw}, p = U(d, p)")
        word = "if"
        for number, branch in enumerate(kind.branches):
            self._line(f"{word} {raw} == {number * 2}:")
            self._indent += 1
            self._line("pass")
            self._skip(branch)
            self._indent -= 1
            word = "elif"
        self._line("else: raise END" if kind.branches else "raise END")

    def _skip_record(self, kind: Type, target: str) -> None:
        self._line(f"{target} = None")
        recursive = self._nest(kind)
        for each in kind.fields:
            self._skip(each.type)
        if recursive:
            self._line("c[1] += 1")

    def _skip_blocks(self, kind: Type, target: str) -> None:
        assert kind.items is not None
        self._line(f"{target} = None")
        end = self._local()
        self._begin_blocks(self._local(), end, kind)
        if kind.kind == "map":
            self._end_of(self._local())
            self._line("p = q")
        self._line("pass")
        self._skip(kind.items)
        self._end_blocks(end)


def _uuid(path: str, text: str) -> str:
    try:
        return read_uuid(text)
    except ValueError as error:
        raise Unresolved(path, "text that is no uuid") from error


def _to_float(value: int) -> float:
    """The nearest value of single precision."""
    found: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return found
