"""The functions of the expression language. Each makes a term from its arguments, or returns None
when their kinds do not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from worker.transforms import values
from worker.transforms.kinds import BOOL, DATE, FLOAT, INT, STR, TIMESTAMP, Kind
from worker.transforms.terms import Scope, Term, lift

_SIZED: Final = ("str", "bytes", "array", "map")


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of a call.

    Attributes:
        common: terms -> the one kind that they have.
        convert: (term, kind) -> the source of the term in that kind.
    """

    scope: Scope
    terms: list[Term]
    common: Callable[[list[Term]], Kind]
    convert: Callable[[Term, Kind], str]

    @property
    def kind(self) -> Kind:
        return self.terms[0].kind

    def lift(self, kind: Kind, code: Callable[..., str]) -> Term:
        return lift(self.scope, self.terms, kind, code)

    def calling(self, function: Callable[..., object], kind: Kind) -> Term:
        name = self.scope.bind(function)
        return self.lift(kind, lambda *sources: f"{name}({', '.join(sources)})")


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language.

    Attributes:
        make: makes the term of a call.
        least, most: how many arguments it takes.
        takes: which arguments it takes, in words for error messages.
    """

    make: Callable[[Call], Term | None]
    least: int
    most: int
    takes: str


def _len(call: Call) -> Term | None:
    return call.lift(INT, lambda x: f"len({x})") if call.kind.name in _SIZED else None


def _text_method(method: str) -> Callable[[Call], Term | None]:
    def make(call: Call) -> Term | None:
        return call.lift(STR, lambda x: f"{x}.{method}()") if call.kind == STR else None

    return make


def _coalesce(call: Call) -> Term:
    kind = call.common(call.terms)
    sources, nullable = [], True
    for term in call.terms:
        nullable = nullable and term.nullable
        source = call.convert(term, kind)
        if not nullable:
            sources.append(source)
            break
        name = call.scope.temp()
        sources.append(f"{name} if ({name} := {source}) is not None")
    return Term(f"({' else '.join(sources)}{' else None' if nullable else ''})", kind, nullable)


def _abs(call: Call) -> Term | None:
    if call.kind not in (INT, FLOAT):
        return None
    check = call.scope.bind(values.in_64_bits if call.kind == INT else values.finite)
    return call.lift(call.kind, lambda x: f"{check}(abs({x}))")


def _round(call: Call) -> Term | None:
    if call.kind not in (INT, FLOAT):
        return None
    check = call.scope.bind(
        values.in_64_bits if call.kind == INT or len(call.terms) == 1 else values.finite
    )
    if len(call.terms) == 1:
        return call.lift(INT, lambda x: f"{check}(round({x}))")
    digits = call.terms[1]
    if digits.kind != INT or not digits.is_constant or not -20 <= digits.constant <= 20:
        return None
    return call.lift(call.kind, lambda x, n: f"{check}(round({x}, {n}))")


def _int(call: Call) -> Term | None:
    return call.calling(values.to_int, INT) if call.kind in (INT, FLOAT, STR, BOOL) else None


def _float(call: Call) -> Term | None:
    return (
        call.calling(values.to_float, FLOAT)
        if call.kind in (INT, FLOAT, STR, BOOL) or call.kind.name == "decimal"
        else None
    )


def _str(call: Call) -> Term | None:
    kind = call.kind
    if kind == STR:
        return call.terms[0]
    if kind == BOOL:
        return call.lift(STR, lambda x: f"('true' if {x} else 'false')")
    if kind in (INT, FLOAT) or kind.name == "decimal":
        return call.lift(STR, lambda x: f"str({x})")
    if kind == DATE:
        return call.calling(values.date_text, STR)
    if kind.name == "time":
        return call.calling(partial(values.time_text, ticks=kind.ticks), STR)
    if kind.name == "timestamp":
        return call.calling(
            partial(values.timestamp_text, ticks=kind.ticks, zone="" if kind.local else "Z"), STR
        )
    return None


def _date(call: Call) -> Term | None:
    if call.kind == DATE:
        return call.terms[0]
    if call.kind == STR:
        return call.calling(values.day_of_text, DATE)
    if call.kind.name == "timestamp":
        return call.lift(DATE, lambda x: f"({x} // {86_400 * call.kind.ticks})")
    return None


def _timestamp(call: Call) -> Term | None:
    first, *forms = call.terms
    if not forms and first.kind.name == "timestamp":
        return first
    if not forms and first.kind == DATE:
        return call.lift(TIMESTAMP, lambda x: f"({x} * {86_400 * TIMESTAMP.ticks})")
    return _read_timestamp(call, first, forms)


def _read_timestamp(call: Call, first: Term, forms: list[Term]) -> Term | None:
    """A time that is read from text or a number, in the forms that are said."""
    if not all(each.kind == STR and each.is_constant for each in forms):
        return None
    read = values.instant_reader(*(each.constant for each in forms))
    number = first.kind in (INT, FLOAT) and bool(forms) and "%" not in forms[0].constant
    if read is None or not (first.kind == STR or number):
        return None
    name = call.scope.bind(read)
    return lift(call.scope, [first], TIMESTAMP, lambda x: f"{name}({x})")


def _hour(call: Call) -> Term | None:
    if call.kind.name not in ("timestamp", "time"):
        return None
    return call.lift(INT, lambda x: f"({x} // {3_600 * call.kind.ticks} % 24)")


def _now_received(call: Call) -> Term:
    return Term("received", TIMESTAMP, atom=True)


FUNCTIONS: Final = {
    "len": Function(_len, 1, 1, "text, bytes, an array or a map"),
    "lower": Function(_text_method("lower"), 1, 1, "text"),
    "upper": Function(_text_method("upper"), 1, 1, "text"),
    "trim": Function(_text_method("strip"), 1, 1, "text"),
    "coalesce": Function(_coalesce, 2, 20, "values of one type, the first that is not null counts"),
    "abs": Function(_abs, 1, 1, "a number"),
    "round": Function(_round, 1, 2, "a number, and a constant number of digits from -20 to 20"),
    "int": Function(_int, 1, 1, "a number, text or a boolean"),
    "float": Function(_float, 1, 1, "a number, text, a decimal or a boolean"),
    "str": Function(_str, 1, 1, "a number, text, a boolean, a date or a time"),
    "date": Function(_date, 1, 1, "a timestamp, a date or text"),
    "timestamp": Function(
        _timestamp,
        1,
        3,
        "RFC 3339 text, a date or a timestamp; or text or a number and 'epoch_s', 'epoch_ms', "
        "'epoch_us' or 'epoch_ns'; or text, a strptime pattern, and a zone if it is not UTC",
    ),
    "hour": Function(_hour, 1, 1, "a timestamp or a time"),
    "now_received": Function(_now_received, 0, 0, "nothing"),
}
