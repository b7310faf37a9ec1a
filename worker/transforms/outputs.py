"""The last step before encoding: a computed value becomes a field of the output schema, or the record a reject.

Only fields whose value or type changed come here; what came in and goes out as the same type was validated on the way in.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from worker.core.errors import ConfigError
from worker.schema.model import Field, Schema, is_nullable, is_wide
from worker.transforms import values
from worker.transforms.kinds import kind_of
from worker.transforms.terms import Term

_RANGES: Final = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
_FLOAT_MAX: Final = 3.4028235677973362e38  # the last double that rounds to the largest float


class Writer(Protocol):
    """What is used of the program."""

    def line(self, text: str) -> None: ...
    def local(self, code: str) -> str: ...
    def bind(self, value: Any) -> str: ...


def _raiser(path: str, allowed: str) -> Callable[[Any], None]:
    def refuse(value: Any) -> None:
        raise values.refuse("output", path, value, allowed)

    return refuse


def convert(program: Writer, field: Field, term: Term, output: Schema, where: str) -> str:
    """Emits the checks and conversions of a value; returns the source of what is encoded. ConfigError when types never fit."""
    kind = output.value_type(field.type)
    target = kind_of(field.type, output)
    if is_wide(field.type) or not _fits(term, kind.kind, target.name, kind.logical):
        shown = kind.logical or kind.kind
        raise ConfigError(
            f"{field.name!r} is {term.kind}, the output schema says {'a union of several types' if is_wide(field.type) else shown}",
            where=where,
            remedy="convert it with int(), float(), str() or date(), or change the output schema",
        )
    if kind.kind == "enum":
        _refuse_constant(field, term, kind.symbols, where)
    path = f"$.{field.name}"
    code, lines = _checked(program, term, kind, target.ticks, path)
    if code != term.code or lines or term.nullable:
        name = program.local(term.code)
    else:
        return term.code
    body = [f"{name} = {code.replace(_VALUE, name)}"] if code != term.code else []
    body += [line.replace(_VALUE, name) for line in lines]
    if not term.nullable:
        for line in body:
            program.line(line)
        return name
    if not is_nullable(field.type):
        program.line(
            f"if {name} is None: {program.bind(_raiser(path, 'a value that is not null'))}(None)"
        )
        for line in body:
            program.line(line)
    elif body:
        program.line(f"if {name} is not None:")
        for line in body:
            program.line(f"    {line}")
    return name


_VALUE: Final = "\0"


def _refuse_constant(field: Field, term: Term, symbols: Sequence[str], where: str) -> None:
    """A field that is set to a text keeps that text as its source; if it is no symbol, every record would be a reject."""
    try:
        value = ast.literal_eval(term.code)
    except (ValueError, SyntaxError):
        return
    if isinstance(value, str) and value not in symbols:
        close = difflib.get_close_matches(value, symbols, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigError(
            f"{field.name!r} is set to {value!r}, the output schema allows {', '.join(symbols)}",
            where=where,
            remedy=f"{hint}set it to one of the symbols, or change the output schema",
        )


def _fits(term: Term, kind: str, target: str, logical: str | None) -> bool:
    found = term.kind.name
    if found == "null":
        return True
    if target == "float":
        return found in ("int", "float")
    if logical in ("uuid", "decimal", "big-decimal") or kind in ("fixed", "array", "map", "record"):
        return False  # such fields pass through unchanged, or come from python
    return found == target


def _checked(
    program: Writer, term: Term, kind: Any, ticks: int, path: str
) -> tuple[str, list[str]]:
    """(source of the converted value, checks of it); the value is written as a mark that is replaced by its local."""
    found = term.kind.name
    if found == "timestamp" and term.kind.ticks != ticks:
        scaled = (
            f"{_VALUE} * {ticks // term.kind.ticks}"
            if ticks > term.kind.ticks
            else f"{_VALUE} // {term.kind.ticks // ticks}"
        )
        return scaled, [_range(program, "long", path)]
    if kind.kind in _RANGES and found in ("int", "date", "time", "timestamp"):
        return term.code, [_range(program, kind.kind, path)]
    if kind.kind in ("float", "double") and found in ("int", "float"):
        limit = _FLOAT_MAX if kind.kind == "float" else values.DOUBLE_MAX
        refuse = program.bind(_raiser(path, f"a number in the range of {kind.kind}"))
        check = f"if not {-limit!r} <= {_VALUE} <= {limit!r}: {refuse}({_VALUE})"
        return (f"float({_VALUE})" if found == "int" else term.code), [check]
    if kind.kind == "enum":
        symbols = program.bind(frozenset(kind.symbols))
        refuse = program.bind(_raiser(path, f"one of {', '.join(kind.symbols)}"))
        return term.code, [f"if {_VALUE} not in {symbols}: {refuse}({_VALUE})"]
    return term.code, []


def _range(program: Writer, kind: str, path: str) -> str:
    low, high = _RANGES[kind]
    return f"if not {low} <= {_VALUE} <= {high}: {program.bind(_raiser(path, f'a whole number from {low} to {high}'))}({_VALUE})"
