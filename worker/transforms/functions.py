"""The functions of the expression language. Each makes a term from its arguments, or returns None
when their kinds do not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from worker.schema.logical import plain_text
from worker.transforms import instants, texts, values
from worker.transforms.kinds import (
    BOOL,
    BYTES,
    DATE,
    FLOAT,
    INT,
    READ_TIMESTAMP,
    STR,
    TEXTS,
    TIMESTAMP,
    Kind,
)
from worker.transforms.terms import NOT_CONSTANT, Scope, Term, lift

_SIZED: Final = ("str", "bytes", "array", "map")


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of a call.

    Attributes:
        source: the call as it is written, for the errors of records.
        common: terms -> the one kind that they have.
        convert: (term, kind) -> the source of the term in that kind.
    """

    scope: Scope
    source: str
    terms: list[Term]
    common: Callable[[list[Term]], Kind]
    convert: Callable[[Term, Kind], str]

    @property
    def kind(self) -> Kind:
        return self.terms[0].kind

    @property
    def are_texts(self) -> bool:
        return all(each.kind == STR for each in self.terms)

    def lift(self, kind: Kind, code: Callable[..., str]) -> Term:
        return lift(self.scope, self.terms, kind, code)

    def calling(self, function: Callable[..., object], kind: Kind, of: int | None = None) -> Term:
        """A call of a function at run time with the first `of` arguments, by default with all."""
        name = self.scope.bind(function)
        terms = self.terms[:of]
        return lift(self.scope, terms, kind, lambda *sources: f"{name}({', '.join(sources)})")

    def constants(self, first: int) -> list[Any] | None:
        """The values of the arguments from `first` on; None unless all are constants."""
        rest = self.terms[first:]
        return [each.constant for each in rest] if all(each.is_constant for each in rest) else None


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
    return (
        call.calling(values.whole_number(call.source), INT)
        if call.kind in (INT, FLOAT, STR, BOOL)
        else None
    )


def _float(call: Call) -> Term | None:
    return (
        call.calling(values.number(call.source), FLOAT)
        if call.kind in (INT, FLOAT, STR, BOOL) or call.kind.name == "decimal"
        else None
    )


def _str(call: Call) -> Term | None:
    kind = call.kind
    if kind == STR:
        return call.terms[0]
    if kind == BOOL:
        return call.lift(STR, lambda x: f"('true' if {x} else 'false')")
    if kind in (INT, FLOAT):
        return call.lift(STR, lambda x: f"str({x})")
    if kind.name == "decimal":
        return call.calling(plain_text(kind.scale), STR)
    if kind == DATE:
        return call.calling(values.date_text, STR)
    if kind.name == "time":
        return call.calling(partial(values.time_text, ticks=kind.ticks), STR)
    if kind.name == "timestamp":
        zone = "" if kind.local else "Z"
        text = partial(values.timestamp_text, ticks=kind.ticks, zone=zone, shown=kind.shown)
        return call.calling(text, STR)
    return None


def _date(call: Call) -> Term | None:
    forms = _forms(call)
    if forms is None:
        return None
    if not forms and call.kind == DATE:
        return call.terms[0]
    if not forms and call.kind.name == "timestamp":
        return call.lift(DATE, lambda x: f"({x} // {86_400 * call.kind.ticks})")
    form = forms[0] if forms else None
    if call.kind != STR and not (form in instants.UNITS and call.kind in (INT, FLOAT)):
        return None
    return call.calling(instants.day_reader(form, call.source), DATE, of=1)


def _timestamp(call: Call) -> Term | None:
    forms = _forms(call)
    if forms is None:
        return None
    if not forms and call.kind.name == "timestamp":
        return call.terms[0]
    if not forms and call.kind == DATE:
        return call.lift(TIMESTAMP, lambda x: f"({x} * {86_400 * TIMESTAMP.ticks})")
    form, zone = (*forms, None, None)[:2]
    if call.kind != STR and not (form in instants.UNITS and call.kind in (INT, FLOAT)):
        return None
    read = instants.instant_reader(form or "rfc3339", zone, call.source)
    return call.calling(read, READ_TIMESTAMP, of=1)


def _forms(call: Call) -> list[str] | None:
    """The constant texts that say how the first argument is read; None for other arguments."""
    forms = call.constants(1)
    return None if forms is None or not all(isinstance(each, str) for each in forms) else forms


def _hour(call: Call) -> Term | None:
    if call.kind.name not in ("timestamp", "time"):
        return None
    return call.lift(INT, lambda x: f"({x} // {3_600 * call.kind.ticks} % 24)")


# -- text ---------------------------------------------------------------------------------------


def _concat(call: Call) -> Term | None:
    return call.calling(texts.joiner(call.source), STR) if call.are_texts else None


def _replace(call: Call) -> Term | None:
    return call.calling(texts.replacer(call.source), STR) if call.are_texts else None


def _split(call: Call) -> Term | None:
    text, between, *number = call.terms
    if not text.kind == between.kind == STR or between.constant in (NOT_CONSTANT, ""):
        return None
    if not number:
        return call.lift(TEXTS, lambda x, y: f"{x}.split({y})")
    if number[0].kind != INT or not number[0].is_constant:
        return None
    found = call.calling(texts.part, STR)
    return replace(found, nullable=True)


def _join(call: Call) -> Term | None:
    items, between = call.terms
    if items.kind.items != STR or between.kind != STR:
        return None
    return call.calling(texts.list_joiner(call.source), STR)


def _substr(call: Call) -> Term | None:
    text, *numbers = call.terms
    if text.kind != STR or any(each.kind != INT for each in numbers):
        return None
    return call.calling(texts.slicer(call.source), STR)


def _regex_match(call: Call) -> Term | None:
    given = _forms(call)
    if given is None or not call.are_texts:
        return None
    return call.calling(texts.matcher(*given), BOOL, of=1)


def _regex_replace(call: Call) -> Term | None:
    given = _forms(call)
    if given is None or not call.are_texts:
        return None
    pattern, new = given
    return call.calling(texts.pattern_replacer(pattern, new, call.source), STR, of=1)


def _hash(call: Call) -> Term | None:
    return call.calling(texts.sha256, STR) if call.kind in (STR, BYTES) else None


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
    "date": Function(
        _date, 1, 2, "a timestamp, a date or text; or text or a number and the form of its time"
    ),
    "timestamp": Function(
        _timestamp,
        1,
        3,
        "RFC 3339 text, a date or a timestamp; or text or a number and 'epoch_s', 'epoch_ms', "
        "'epoch_us' or 'epoch_ns'; or text, a strptime pattern, and a zone if it is not UTC",
    ),
    "hour": Function(_hour, 1, 1, "a timestamp or a time"),
    "concat": Function(_concat, 2, 20, "texts"),
    "replace": Function(_replace, 3, 3, "a text, the text to look for, and the one in its place"),
    "split": Function(
        _split,
        2,
        3,
        "a text, a constant text that stands between the parts, and the constant number of the "
        "part that is wanted, from 0, if not all are",
    ),
    "join": Function(_join, 2, 2, "an array of texts, and the text between them"),
    "substr": Function(
        _substr, 2, 3, "a text, a first place from 0 (negative: from the end), and a length"
    ),
    "regex_match": Function(_regex_match, 2, 2, "a text and a constant pattern of RE2"),
    "regex_replace": Function(
        _regex_replace, 3, 3, "a text, a constant pattern of RE2, and a constant replacement"
    ),
    "hash": Function(_hash, 1, 1, "a text or bytes"),
    "now_received": Function(_now_received, 0, 0, "nothing"),
}
