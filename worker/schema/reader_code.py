"""Generates the code that reads datums of a writer's schema as values of a reader's.

The generated code only notices that something is wrong; `walk.explain` then finds out where and
what. In the code, `d` is the data, `p` the position, `q` the end of a text or of bytes, `e` the end
of the data, and `c` what is left of the limits: items, depth, values without bytes.

Source: Avro specification, "Binary Encoding" and "Schema Resolution".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from worker.schema.codegen import CodeBuilder, Lines, compile_function
from worker.schema.limits import Limits
from worker.schema.model import NO_DEFAULT, Field, Schema, Type, by_kind, is_wide
from worker.schema.primitives import (
    END,
    LONG,
    Broken,
    Remembered,
    Unresolved,
    read_int,
    read_long,
    read_size,
    read_unsigned,
)
from worker.schema.resolve import INTO_UNION, MISMATCH, Pair, fields_of
from worker.schema.scalar_code import ReadOptions, ScalarCode
from worker.schema.sizes import Sizes
from worker.schema.values import Branch

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
"""What generated code can raise on bad data: an index past the end, an unknown symbol, text that is
not UTF-8, bytes that are no decimal."""


class Stop(Exception):
    """The datum that begins at `at` is broken."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


Default = Callable[[Field], Callable[[], Any]]
"""A field of the reader -> what makes its default value, as it would have been read."""
Emit = Callable[["ReaderCode", Type, Type, str, str], None]
"""(writer's type, reader's type, local, path): emits the code that reads a value into the local."""


class ReaderCode(Pair):
    """The generated code of one pair of schemas."""

    def __init__(
        self, writer: Schema, reader: Schema, limits: Limits, options: ReadOptions, default: Default
    ) -> None:
        super().__init__(writer, reader)
        self.sizes = Sizes(writer)
        self._limits, self._options, self._make_default = limits, options, default
        self._known: dict[tuple[str, ...], str] = {}
        self._loops = self._functions = 0
        self._code, self._out = CodeBuilder(), Lines(3)
        self._code.names.update(
            Z=LONG, T=(False, True), S=Remembered(), I=read_int, J=read_long, N=read_size,
            U=read_unsigned, X=Broken, Stop=Stop, END=END, BAD=BROKEN, Q=Unresolved,
            F=struct.Struct("<f").unpack_from, D=struct.Struct("<d").unpack_from, B=Branch,
            range=range,
        )  # fmt: skip
        self._scalars = ScalarCode(self._code, self._out, options)

    def compile(self) -> Callable[..., int]:
        """The function `read(d, p, e, rows, c, out) -> position`, which appends to `out`. It raises
        Stop."""
        target, root = self._out.local(), self.writer.root
        self._root(root, self.reader.root, target)
        items, depth = self._limits.items - self.sizes.weight(root), self._limits.depth
        body = self._out.text if items >= 0 else "            raise END\n"
        text = (
            "def read(d, p, e, rows, c, out):\n"
            "    add = out.append\n"
            "    first = s = p\n"
            "    spent = 0\n"
            "    try:\n"
            "        for _ in range(rows):\n"
            "            s = p\n"
            f"            c[0] = {items}\n"
            f"            c[1] = {depth}\n"
            f"{body}"
            f"            if p > e or p - s > {self._limits.datum}: raise END\n"
            f"            add({target})\n"
            f"            spent += {self._limits.items} - c[0]\n"
            f"            if p - first > {SLICE_BYTES} or spent > {SLICE_VALUES}: break\n"
            "    except BAD as x:\n"
            "        raise Stop(s) from x\n"
            "    return p\n"
        )
        return compile_function("read", text, self._code)

    def _root(self, writer_type: Type, reader_type: Type, target: str) -> None:
        recursive = writer_type.name in self.sizes.recursive
        if self.rule(writer_type, reader_type) == "record" and not recursive:
            self._fields(writer_type, reader_type, target, "$")  # saves a call per record
        else:
            self._value(writer_type, reader_type, target, "$")

    def _call(self, key: tuple[str, ...] | None, target: str, emit: Callable[[str], None]) -> None:
        """Emits a call of a function of its own, which `emit` fills: recursive types need one, and
        loops can be nested only so far. A function with a key is made once."""
        name = self._known.get(key) if key is not None else None
        if name is None:
            self._functions += 1
            name = f"f{self._functions}"
            if key is not None:
                self._known[key] = name
            loops, self._loops = self._loops, 0
            with self._out.aside() as lines:
                inner = self._out.local()
                emit(inner)
            self._loops = loops
            body = "".join(lines)
            self._code.define(f"def {name}(d, p, e, c):\n{body}    return {inner}, p\n")
        self._out.line(f"{target}, p = {name}(d, p, e, c)")

    def _refuse(self, target: str, path: str, message: str) -> None:
        """Emits that a valid value has no value in the reader's schema."""
        self._out.line(f"{target} = None")
        self._out.line(f"raise {self._code.bind(partial(Unresolved, path, message))}()")

    # -- pairs of types -------------------------------------------------------------------------

    def _value(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        writer_type = self.writer.resolve(writer_type)
        reader_type = self.reader.resolve(reader_type)
        emit = self._BY_RULE[self.rule(writer_type, reader_type)]
        emit(self, writer_type, reader_type, target, path)

    def _union(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        raw = self._out.local()
        self._out.line(f"{raw} = d[p]")
        self._out.line("p += 1")
        self._out.line(f"if {raw} > 127: {raw}, p = U(d, p - 1)")
        word, several = "if", len(writer_type.branches) > 1
        for number, branch in _null_last(writer_type):
            label = self.writer.resolve(branch).name or branch.kind
            with self._out.block(f"{word} {raw} == {number * 2}:"):
                self._value(branch, reader_type, target, f"{path}|{label}" if several else path)
            word = "elif"
        if word == "if":  # a union without branches
            self._out.line(f"{target} = None")
            self._out.line("raise END")
        else:
            self._out.line("else: raise END")

    def _into_union(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        number = self.branch(writer_type, reader_type)
        if number is None:
            branches = [self.reader.resolve(each) for each in reader_type.branches]
            allowed = ", ".join(each.name or each.kind for each in branches) or "nothing"
            label = writer_type.name or writer_type.kind
            self._refuse(
                target, path, f"{label} is not a branch of the reader's union of {allowed}"
            )
            return
        self._value(writer_type, reader_type.branches[number], target, path)
        if self._options.branches and is_wide(reader_type):
            self._out.line(f"{target} = B({number}, {target})")

    def _mismatch(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        if (wrong := self.mismatch(writer_type, reader_type)) is not None:
            self._refuse(target, path, wrong[1])

    def _record(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        """A call: the record may stand elsewhere too, and its function knows no path."""
        with self._out.block("try:"):
            key = ("read", writer_type.name, reader_type.name)
            self._call(key, target, partial(self._fields, writer_type, reader_type, path=""))
        with self._out.block("except Q as x:"):
            self._out.line(f"x.path = {path!r} + x.path")
            self._out.line("raise")

    def _fields(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        recursive = self._count_record(writer_type)
        taken = fields_of(writer_type, reader_type)
        values: dict[str, str] = {}
        for each in writer_type.fields:
            if each.name in taken:
                field = taken[each.name]
                values[field.name] = value = self._out.local()
                self._value(each.type, field.type, value, f"{path}.{each.name}")
            else:
                self._skip(each.type)
        for each in reader_type.fields:
            if each.name not in values:
                if each.default is NO_DEFAULT:
                    message = "the writer has no such field, and the reader's has no default"
                    self._refuse(target, f"{path}.{each.name}", message)
                    return
                values[each.name] = self._default(each)
        if recursive:
            self._out.line("c[1] += 1")
        items = ", ".join(f"{each.name!r}: {values[each.name]}" for each in reader_type.fields)
        self._out.line(f"{target} = {{{items}}}")

    def _count_record(self, kind: Type) -> bool:
        """Emits what keeps the limits of a record that can hold itself; whether it is one."""
        if kind.name not in self.sizes.recursive:
            return False
        self._out.line("c[1] -= 1")
        self._out.line(f"c[0] -= {self.sizes.own_weight(kind)}")
        self._out.line("if c[1] < 0 or c[0] < 0: raise END")
        return True

    def _default(self, field: Field) -> str:
        """An expression for the default of a field. A mutable value is made anew each time."""
        make = self._make_default(field)
        value = make()
        if isinstance(value, list | dict | Branch):
            return f"{self._code.bind(make)}()"
        return self._code.bind(value)

    def _container(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        emit = partial(self._blocks, writer_type, reader_type, path=path)
        if self._loops:
            self._call(None, target, emit)
        else:
            emit(target)

    def _blocks(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        assert writer_type.items is not None and reader_type.items is not None
        count, end, key = self._out.local(), self._out.local(), self._out.local()
        is_map = writer_type.kind == "map"
        self._out.line(f"{target} = {'{}' if is_map else '[]'}")
        with self._each_item(count, end, writer_type):
            item = self._out.local()
            if is_map:
                self._scalars.text_at(key)
            inside = f"{path}{{}}" if is_map else f"{path}[]"
            self._value(writer_type.items, reader_type.items, item, inside)
            self._out.line(f"{target}[{key}] = {item}" if is_map else f"{target}.append({item})")

    @contextmanager
    def _each_item(self, count: str, end: str, kind: Type) -> Iterator[None]:
        """What is emitted inside is done for each item of an array or map of the writer.

        Args:
            count, end: locals for the items of a block and for its end.
        """
        assert kind.items is not None
        weight = self.sizes.item(kind.items)
        self._loops += 1
        with self._out.block("while True:"):
            self._out.line(f"{count}, p = J(d, p)")
            self._out.line(f"if {count} == 0: break")
            self._out.line(f"{end} = -1")
            with self._out.block(f"if {count} < 0:"):
                self._out.line(f"{end}, p = N(d, p)")
                self._out.line(f"{end} += p")
                self._out.line(f"{count} = -{count}")
            self._out.line(f"c[0] -= {count}{f' * {weight}' if weight > 1 else ''}")
            self._out.line("if c[0] < 0: raise END")
            if kind.kind == "array" and self.sizes.smallest(kind.items) == 0:
                self._out.line(f"c[2] -= {count} * {weight}")
                self._out.line("if c[2] < 0: raise END")
            with self._out.block(f"for _ in range({count}):"):
                yield
            self._out.line(f"if {end} >= 0 and p != {end}: raise END")
        self._loops -= 1

    def _scalar(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        self._scalars.read(writer_type, reader_type, target, path)

    _BY_RULE: Final[Mapping[str, Emit]] = by_kind(
        {"union": _union, "record": _record, "array map": _container}, otherwise=_scalar
    ) | {INTO_UNION: _into_union, MISMATCH: _mismatch}

    # -- fields that the reader does not have ---------------------------------------------------

    def _skip(self, kind: Type) -> None:
        kind = self.writer.resolve(kind)
        self._SKIP[kind.kind](self, kind)

    def _skip_union(self, kind: Type) -> None:
        raw, word = self._out.local(), "if"
        self._out.line(f"{raw}, p = U(d, p)")
        for number, branch in enumerate(kind.branches):
            with self._out.block(f"{word} {raw} == {number * 2}:"):
                self._out.line("pass")
                self._skip(branch)
            word = "elif"
        self._out.line("else: raise END" if kind.branches else "raise END")

    def _skip_record(self, kind: Type) -> None:
        self._call(("skip", kind.name), "_", partial(self._skip_fields, kind))

    def _skip_fields(self, kind: Type, target: str) -> None:
        self._out.line(f"{target} = None")
        recursive = self._count_record(kind)
        for each in kind.fields:
            self._skip(each.type)
        if recursive:
            self._out.line("c[1] += 1")

    def _skip_container(self, kind: Type) -> None:
        self._call(None, "_", partial(self._skip_blocks, kind))

    def _skip_blocks(self, kind: Type, target: str) -> None:
        assert kind.items is not None
        self._out.line(f"{target} = None")
        end = self._out.local()
        with self._each_item(self._out.local(), end, kind):
            if kind.kind == "map":
                self._scalars.skip_sized()
            self._out.line("pass")
            self._skip(kind.items)

    _SKIP: Final[Mapping[str, Callable[[ReaderCode, Type], None]]] = by_kind(
        {"union": _skip_union, "record": _skip_record, "array map": _skip_container},
        otherwise=lambda self, kind: self._scalars.skip(kind),
    )


def _null_last(union: Type) -> list[tuple[int, Type]]:
    """The numbered branches of a union, null last, because it is mostly the rarer one."""
    return sorted(enumerate(union.branches), key=lambda each: each[1].kind == "null")
