"""Compiled pieces of expressions: a term is Python source with what is known of its value.

Null propagates: an operation on terms that may be null yields null when one of them is. `and`, `or` and `not` are
three-valued (SQL). Where only truth matters (filters, conditions), null counts as false and the source is shorter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from worker.transforms.kinds import BOOL, Kind


class _NotConstant:
    def __repr__(self) -> str:
        return "NOT_CONSTANT"


NOT_CONSTANT = _NotConstant()


@dataclass(frozen=True, slots=True)
class Term:
    """Python source of a value.

    Attributes:
        atom: a name or a constant: it may stand several times.
        constant: the literal it was written as, if it was one.
        truth: source that is true exactly when the value is true; for booleans that may be null.
    """

    code: str
    kind: Kind
    nullable: bool = False
    atom: bool = False
    constant: Any = NOT_CONSTANT
    truth: str = ""

    @property
    def is_constant(self) -> bool:
        return self.constant is not NOT_CONSTANT

    @property
    def condition(self) -> str:
        """Source that is true when the value is true, and false when it is false or null."""
        return self.truth or (f"({self.code} is True)" if self.nullable else self.code)


class Scope(Protocol):
    """Where expressions live: the fields they see and the names of the function that is being generated."""

    def column(self, name: str) -> Term:
        """The value of a field; KeyError when there is none."""

    def names(self) -> list[str]:
        """The fields there are."""

    def member(self, record: Term, source: str, name: str) -> Term:
        """A field of a record-valued term; KeyError when there is none."""

    def temp(self) -> str:
        """A fresh local name."""

    def bind(self, value: Any) -> str:
        """A name under which the generated function sees `value`."""


def lift(
    scope: Scope, terms: list[Term], kind: Kind, code: Callable[..., str], *, nullable: bool = False
) -> Term:
    """An operation on terms: null when one of them is null, else `code` of their sources."""
    tests, sources = [], []
    for term in terms:
        source = term.code
        if term.nullable:
            if term.atom:
                tests.append(f"{source} is None")
            else:
                name = scope.temp()
                tests.append(f"({name} := {source}) is None")
                source = name
        sources.append(source)
    plain = code(*sources)
    if not tests:
        return Term(plain, kind, nullable)
    truth = ""
    if kind == BOOL and not nullable:
        truth = (
            "("
            + " and ".join(f"{test.removesuffix('is None')}is not None" for test in tests)
            + f" and {plain})"
        )
    return Term(f"(None if {' or '.join(tests)} else {plain})", kind, True, truth=truth)


def both(scope: Scope, terms: list[Term]) -> Term:
    """Three-valued `and`: false with the first that is false, else null with one that is null."""
    truth = _joined("and", [term.condition for term in terms])
    if not any(term.nullable for term in terms):
        return Term(truth, BOOL)
    names, values = _named(scope, terms)
    code = f"(False if {' or '.join(f'{value} is False' for value in values)} else True if {' and '.join(names)} else None)"
    return Term(code, BOOL, True, truth=truth)


def either(scope: Scope, terms: list[Term]) -> Term:
    """Three-valued `or`: true with the first that is true, else null with one that is null."""
    truth = _joined("or", [term.condition for term in terms])
    if not any(term.nullable for term in terms):
        return Term(truth, BOOL)
    names, values = _named(scope, terms)
    code = f"(True if {' or '.join(values)} else False if {' and '.join(f'{name} is False' for name in names)} else None)"
    return Term(code, BOOL, True, truth=truth)


def _joined(word: str, conditions: list[str]) -> str:
    return f"({f' {word} '.join(conditions)})"


def _named(scope: Scope, terms: list[Term]) -> tuple[list[str], list[str]]:
    """Names for the values, and source that gives them: the source of a term stands once, or nested ones double at each level."""
    names = [scope.temp() for _ in terms]
    return names, [f"({name} := {term.code})" for name, term in zip(names, terms, strict=True)]


def negated(scope: Scope, term: Term) -> Term:
    """Three-valued `not`."""
    return lift(scope, [term], BOOL, lambda x: f"(not {x})")
