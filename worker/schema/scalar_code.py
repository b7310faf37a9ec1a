"""Generates the code that reads or skips values without inner types. The names in the generated
code are those of reader_code.py."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from worker.schema.codegen import CodeBuilder, Lines
from worker.schema.logical import TIME_RANGES, read_uuid, text_of
from worker.schema.logical import reader as bytes_reader
from worker.schema.model import Type
from worker.schema.primitives import Symbols, Unresolved


class ReadOptions(NamedTuple):
    """How values are read; see DatumReader."""

    text: bool = False
    branches: bool = False
    strict: bool = False


class ScalarCode:
    """Emits code into `out`, over names that it binds in `code`."""

    def __init__(self, code: CodeBuilder, out: Lines, options: ReadOptions) -> None:
        self._code, self._out, self._options = code, out, options

    def read(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        """Emits what reads a value of the writer's type, as one of the reader's, into a local."""
        self._READ[writer_type.kind](self, writer_type, reader_type, target, path)
        if (convert := self._conversion(writer_type, reader_type)) is not None:
            self._out.line(f"{target} = {self._code.bind(convert)}({target})")
        if self._options.strict:
            self._strictly(reader_type, target, path)

    def _null(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        self._out.line(f"{target} = None")

    def _boolean(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        self._out.line(f"{target} = T[d[p]]")
        self._out.line("p += 1")

    def _whole(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        """Numbers of one or two bytes are read in place."""
        second, read = self._out.local(), "I" if writer_type.kind == "int" else "J"
        self._out.line(f"{target} = d[p]")
        with self._out.block(f"if {target} < 128:"):
            self._out.line(f"{target} = Z[{target}]")
            self._out.line("p += 1")
        with self._out.block("else:"):
            self._out.line(f"{second} = d[p + 1]")
            with self._out.block(f"if {second} < 128:"):
                self._out.line(f"{target} = Z[({second} << 7) + {target} - 128]")
                self._out.line("p += 2")
            self._out.line(f"else: {target}, p = {read}(d, p)")

    def _float(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        self._out.line(f"({target},) = F(d, p)")
        self._out.line("p += 4")

    def _double(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        self._out.line(f"({target},) = D(d, p)")
        self._out.line("p += 8")

    def _string(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        if reader_type.kind == "string":
            self.text_at(target)
        else:
            self._bytes(writer_type, reader_type, target, path)

    def _bytes(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        self._end_of(target)
        self._out.line(f"{target} = d[p:q]")
        self._out.line("p = q")

    def _fixed(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        self._out.line(f"{target} = d[p:p + {writer_type.size}]")
        self._out.line(f"p += {writer_type.size}")
        self._out.line("if p > e: raise END")

    def _enum(self, writer_type: Type, reader_type: Type, target: str, path: str) -> None:
        table, symbols = Symbols(path, reader_type.symbols), frozenset(reader_type.symbols)
        for number, symbol in enumerate(writer_type.symbols):
            known = symbol if symbol in symbols else reader_type.default_symbol
            if known is not None:
                table[number * 2] = known
            else:
                table.missing[number * 2] = symbol
        self._out.line(f"{target} = d[p]")
        self._out.line("p += 1")
        self._out.line(f"if {target} > 127: {target}, p = U(d, p - 1)")
        self._out.line(f"{target} = {self._code.bind(table)}[{target}]")

    def text_at(self, target: str) -> None:
        """Emits what reads a string into a local."""
        self._end_of(target)
        self._out.line(f"{target} = S[d[p:q]]")
        self._out.line("p = q")

    def _end_of(self, raw: str) -> None:
        """Emits that `p` is after a length, and `q` at the end of what has that length."""
        self._out.line(f"{raw} = d[p]")
        with self._out.block(f"if {raw} & 129:"):
            self._out.line(f"{raw}, p = N(d, p)")
            self._out.line(f"q = p + {raw}")
        with self._out.block("else:"):
            self._out.line("p += 1")
            self._out.line(f"q = p + ({raw} >> 1)")
        self._out.line("if q > e: raise END")

    def _conversion(self, writer_type: Type, reader_type: Type) -> Callable[[Any], Any] | None:
        """What makes the reader's value of what was read, or None."""
        if reader_type.kind in ("float", "double") and writer_type.kind in ("int", "long"):
            return _to_float if reader_type.kind == "float" else float
        if reader_type.kind in ("bytes", "fixed") and reader_type.logical not in (None, "duration"):
            return bytes_reader(reader_type)
        if writer_type.kind == "bytes" and reader_type.kind == "string":
            return bytes.decode
        return text_of(reader_type) if self._options.text else None

    def _strictly(self, kind: Type, target: str, path: str) -> None:
        """Emits the refusal of values that JSON could not have brought, or that readers lack."""
        if kind.kind in ("float", "double"):
            message = "NaN or an infinity, a finite number is needed"
            problem = self._code.bind(partial(Unresolved, path, message))
            self._out.line(f"if {target} - {target} != 0.0: raise {problem}()")
        elif kind.logical in TIME_RANGES:
            low, high = TIME_RANGES[kind.logical]
            message = f"a {kind.logical} from {low} to {high} is needed, another one was found"
            problem = self._code.bind(partial(Unresolved, path, message))
            self._out.line(f"if not {low} <= {target} <= {high}: raise {problem}()")
        elif kind.kind == "string" and kind.logical == "uuid":
            self._out.line(f"{target} = {self._code.bind(partial(_uuid, path))}({target})")

    _READ: Final[Mapping[str, Callable[[ScalarCode, Type, Type, str, str], None]]] = {
        "null": _null,
        "boolean": _boolean,
        "int": _whole,
        "long": _whole,
        "float": _float,
        "double": _double,
        "string": _string,
        "bytes": _bytes,
        "fixed": _fixed,
        "enum": _enum,
    }

    def skip(self, kind: Type) -> None:
        """Emits what goes past a value."""
        self._SKIP[kind.kind](self, kind)

    def skip_sized(self) -> None:
        """Emits what goes past a string or bytes."""
        self._end_of(self._out.local())
        self._out.line("p = q")

    def _skip_boolean(self, kind: Type) -> None:
        self._out.line("T[d[p]]")
        self._out.line("p += 1")

    def _skip_number(self, kind: Type) -> None:
        self.read(kind, kind, self._out.local(), "$")

    def _skip_bytes(self, size: int) -> None:
        self._out.line(f"p += {size}")
        self._out.line("if p > e: raise END")

    _SKIP: Final[Mapping[str, Callable[[ScalarCode, Type], None]]] = {
        "null": lambda self, kind: None,
        "boolean": _skip_boolean,
        "int": _skip_number,
        "long": _skip_number,
        "enum": _skip_number,
        "float": lambda self, kind: self._skip_bytes(4),
        "double": lambda self, kind: self._skip_bytes(8),
        "fixed": lambda self, kind: self._skip_bytes(kind.size),
        "string": lambda self, kind: self.skip_sized(),
        "bytes": lambda self, kind: self.skip_sized(),
    }


def _uuid(path: str, text: str) -> str:
    try:
        return read_uuid(text)
    except ValueError as error:
        raise Unresolved(path, "text that is not a uuid") from error


def _to_float(value: int) -> float:
    """The nearest value of single precision."""
    found: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return found
