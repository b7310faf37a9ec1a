"""Compiled pieces of expressions: a term is Python source with what is known of its value.

Null propagates: an operation on terms that may be null yields null when one of them is null. `and`,
`or` and `not` are three-valued, as in SQL. Where only truth matters (filters, conditions), null
counts as false and the source is shorter.
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
        kind: of the value when it is not null.
        nullable: the value may be null.
        atom: the source is a name or a constant, which may be repeated.
        constant: the value of a literal.
        truth: source that is true exactly when the value is true; of booleans that may be null.
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
    """What surrounds an expression: the fields that it sees, and the names of the function that is
    being generated."""

    def column(self, name: str) -> Term:
        """The value of a field; KeyError when there is none."""

    def names(self) -> list[str]:
        """The fields there are."""

    def member(self, record: Term, source: str, name: str) -> Term:
        """A field of a record-valued term; KeyError when there is none."""

    def context(self, name: str) -> Term:
        """A value that stands beside the record, like `partition.x`; KeyError for any other."""

    def contexts(self) -> list[str]:
        """The names of these values."""

    def temp(self) -> str:
        """A fresh local name."""

    def bind(self, value: Any) -> str:
        """A name under which the generated function sees `value`."""


def lift(
    scope: Scope, terms: list[Term], kind: Kind, code: Callable[..., str], *, nullable: bool = False
) -> Term:
    """An operation on terms: null when one of them is null, otherwise `code` of their sources.

    Args:
        kind: of the result.
        nullable: the result may be null though no term is.
    """
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
    """Three-valued `and`: false when a term is false, otherwise null when one is null."""
    truth = _joined("and", [term.condition for term in terms])
    if not any(term.nullable for term in terms):
        return Term(truth, BOOL)
    names, values = _named(scope, terms)
    is_false = " or ".join(f"{value} is False" for value in values)
    code = f"(False if {is_false} else True if {' and '.join(names)} else None)"
    return Term(code, BOOL, True, truth=truth)


def either(scope: Scope, terms: list[Term]) -> Term:
    """Three-valued `or`: true when a term is true, otherwise null when one is null."""
    truth = _joined("or", [term.condition for term in terms])
    if not any(term.nullable for term in terms):
        return Term(truth, BOOL)
    names, values = _named(scope, terms)
    is_false = " and ".join(f"{name} is False" for name in names)
    code = f"(True if {' or '.join(values)} else False if {is_false} else None)"
    return Term(code, BOOL, True, truth=truth)


def _joined(word: str, conditions: list[str]) -> str:
    return f"({f' {word} '.join(conditions)})"


def _named(scope: Scope, terms: list[Term]) -> tuple[list[str], list[str]]:
    """Names for the values, and source that assigns them. The source of a term must not be
    repeated, or nested ones would double at each level."""
    names = [scope.temp() for _ in terms]
    return names, [f"({name} := {term.code})" for name, term in zip(names, terms, strict=True)]


def negated(scope: Scope, term: Term) -> Term:
    """Three-valued `not`."""
    return lift(scope, [term], BOOL, lambda x: f"(not {x})")
