"""The last step before encoding: a computed value becomes a field of the output schema, or else its
record becomes a reject.

Only fields whose value or type changed come here; what came in and goes out as the same type was
validated on its way in.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from worker.core.errors import ConfigError
from worker.schema.defaults import DOUBLE_MAX, FLOAT_MAX, number_range
from worker.schema.model import Field, Schema, Type, by_kind, is_nullable, is_wide, value_branch
from worker.transforms import values
from worker.transforms.kinds import STR, Kind, kind_of
from worker.transforms.terms import Term


class Writer(Protocol):
    """What is used of the program."""

    def line(self, text: str) -> None: ...
    def local(self, code: str) -> str: ...
    def bind(self, value: Any) -> str: ...


class _Conversion(NamedTuple):
    """How a value that is not null becomes one of the output.

    Attributes:
        code: source of the converted value.
        checks: statements that refuse a value which does not fit. In both, _VALUE stands for the
            local that holds the value.
    """

    code: str
    checks: tuple[str, ...] = ()

    def statements(self, given: str, name: str) -> list[str]:
        """The statements that convert and check the value of source `given` in the local `name`."""
        converted = [f"{name} = {self.code}"] if self.code != given else []
        return [line.replace(_VALUE, name) for line in (*converted, *self.checks)]


_VALUE: Final = "\0"


def convert(program: Writer, field: Field, term: Term, output: Schema, where: str) -> str:
    """Emits the checks and conversions of a value; returns the source of what is encoded.

    Raises:
        ConfigError: values of the term can never be values of the field.
    """
    kind, target = output.value_type(field.type), kind_of(field.type, output)
    _require_fit(field, term, kind, target, where)
    path = f"$.{field.name}"
    made = _CONVERSIONS[kind.kind](program, term, kind, target, path)
    if made == _Conversion(term.code) and not term.nullable:
        return term.code
    name = program.local(term.code)
    body = made.statements(term.code, name)
    if term.nullable and not is_nullable(field.type):
        refuse = program.bind(_refuse(path, "a value that is not null"))
        program.line(f"if {name} is None: {refuse}(None)")
    elif term.nullable and body:
        program.line(f"if {name} is not None:")
        body = [f"    {line}" for line in body]
    for line in body:
        program.line(line)
    return name


# -- when the config is loaded ------------------------------------------------------------------


def _require_fit(field: Field, term: Term, kind: Type, target: Kind, where: str) -> None:
    if is_wide(field.type) or not _fits(term.kind, kind, target):
        wanted = "a union of several types" if is_wide(field.type) else kind.logical or kind.kind
        raise ConfigError(
            f"{field.name!r} is {term.kind}, the output schema says {wanted}",
            where=where,
            remedy=_way_out(target),
        )
    if kind.kind == "enum":
        _require_symbol(field, term, kind.symbols, where)


def _way_out(target: Kind) -> str:
    """What makes a value of a kind."""
    if (call := _MADE_BY.get(target.name)) is None:
        return "no expression makes such values: use python, or change the output schema"
    return f"convert it with {call}, or change the output schema"


_MADE_BY: Final = {
    "int": "int()",
    "float": "float()",
    "str": "str()",
    "date": "date()",
    "timestamp": "timestamp(), which takes a format like timestamp(x, 'epoch_s') or "
    "timestamp(x, '%d.%m.%Y', 'Europe/Berlin')",
    "bool": "a comparison, like x == 'true'",
}
"""Kind -> the expression that makes values of it."""


def _fits(found: Kind, kind: Type, target: Kind) -> bool:
    if found.name == "null":
        return True
    if target.name == "float":
        return found.name in ("int", "float")
    if kind.logical in _ONLY_UNCHANGED or kind.kind in _ONLY_UNCHANGED:
        return kind.items is not None and _takes_texts(kind.items, target, found)
    return found.name == target.name


def _takes_texts(items: Type, target: Kind, found: Kind) -> bool:
    """Whether an array with such items takes the array of texts that was found."""
    number = value_branch(items)
    item = items if number is None else items.branches[number]
    plain = item.kind == "string" and item.logical is None and not is_wide(items)
    return plain and found.items == STR and (target.nulls or not found.nulls)


_ONLY_UNCHANGED: Final = ("uuid", "decimal", "big-decimal", "fixed", "array", "map", "record")
"""Fields of these types pass unchanged, or come from python; no expression makes their values, but
for arrays of texts."""


def _require_symbol(field: Field, term: Term, symbols: Sequence[str], where: str) -> None:
    """Refuses a field that is set to a text which is no symbol: every record would be a reject. The
    source of such a field is that text."""
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


# -- in the generated function ------------------------------------------------------------------


def _refuse(path: str, allowed: str) -> Callable[[Any], None]:
    def refuse(value: Any) -> None:
        raise values.refuse("output", path, value, allowed)

    return refuse


def _whole(program: Writer, term: Term, kind: Type, target: Kind, path: str) -> _Conversion:
    """Whole numbers, dates and times; a timestamp changes its unit."""
    if term.kind.name not in ("int", "date", "time", "timestamp"):
        return _Conversion(term.code)
    low, high = number_range(kind)
    what = f"a {kind.logical}" if kind.logical else "a whole number"
    refuse = program.bind(_refuse(path, f"{what} from {low} to {high}"))
    check = f"if not {low} <= {_VALUE} <= {high}: {refuse}({_VALUE})"
    return _Conversion(_scaled(term, target), (check,))


def _scaled(term: Term, target: Kind) -> str:
    given, wanted = term.kind.ticks, target.ticks
    if term.kind.name != "timestamp" or given == wanted:
        return term.code
    finer = wanted > given
    return f"{_VALUE} * {wanted // given}" if finer else f"{_VALUE} // {given // wanted}"


def _number(program: Writer, term: Term, kind: Type, target: Kind, path: str) -> _Conversion:
    if term.kind.name not in ("int", "float"):
        return _Conversion(term.code)
    limit = FLOAT_MAX if kind.kind == "float" else DOUBLE_MAX
    refuse = program.bind(_refuse(path, f"a number in the range of {kind.kind}"))
    check = f"if not {-limit!r} <= {_VALUE} <= {limit!r}: {refuse}({_VALUE})"
    return _Conversion(f"float({_VALUE})" if term.kind.name == "int" else term.code, (check,))


def _symbol(program: Writer, term: Term, kind: Type, target: Kind, path: str) -> _Conversion:
    symbols = program.bind(frozenset(kind.symbols))
    refuse = program.bind(_refuse(path, f"one of {', '.join(kind.symbols)}"))
    return _Conversion(term.code, (f"if {_VALUE} not in {symbols}: {refuse}({_VALUE})",))


_CONVERSIONS: Final[Mapping[str, Callable[[Writer, Term, Type, Kind, str], _Conversion]]] = by_kind(
    {"int long": _whole, "float double": _number, "enum": _symbol},
    otherwise=lambda program, term, kind, target, path: _Conversion(term.code),
)
