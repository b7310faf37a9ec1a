"""Values for lists, which other pipelines read: taken from each record that is encoded."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec

from worker.core.errors import ConfigError
from worker.core.found import Found, Wanted
from worker.transforms.functions import FUNCTIONS, Call
from worker.transforms.kinds import Kind
from worker.transforms.terms import Scope, Term

DIGEST_BYTES: Final = 16

Taken = tuple[int, str | None, tuple[str | None, ...], Any]
"""Number of the list, the value, what is carried with it, and the record as it came."""


def entry(scope: Scope, number: int, wanted: Wanted) -> str:
    """Source of what is taken of a record for a list.

    Raises ConfigError for a field that there is not, or whose values make no text.
    """
    value, *carried = (_text(scope, path, wanted).code for path in (wanted.field, *wanted.carry))
    return f"({number}, {value}, ({''.join(f'{each}, ' for each in carried)}), r)"


def _text(scope: Scope, path: str, wanted: Wanted) -> Term:
    term = _field(scope, path, wanted)
    call = Call(scope, path, [term], _one_kind, _as_it_is)
    text = None if term.kind.name == "float" else FUNCTIONS["str"].make(call)
    if text is None:
        raise ConfigError(
            f"pipeline {wanted.by} finds partitions in the field {path!r}, which is {term.kind}",
            remedy="values of partitions are text, whole numbers, booleans, dates and times",
        )
    return text


def _field(scope: Scope, path: str, wanted: Wanted) -> Term:
    first, *below = path.split(".")
    try:
        term, walked = scope.column(first), first
        for name in below:
            if term.kind.name != "record":
                raise KeyError(name)
            term, walked = scope.member(term, walked, name), f"{walked}.{name}"
    except KeyError as error:
        raise ConfigError(
            f"pipeline {wanted.by} finds partitions in the field {path!r}, which the records lack",
            remedy=f"fields: {', '.join(sorted(scope.names()))}",
        ) from error
    return term


def _one_kind(terms: list[Term]) -> Kind:
    return terms[0].kind


def _as_it_is(term: Term, kind: Kind) -> str:
    return term.code


def found_of(taken: Sequence[Taken], names: Sequence[str]) -> list[Found]:
    """What was taken, as the log has it. A record without the value names no partition."""
    return [
        Found(names[number], value, tuple(each or "" for each in carried), _digest(record))
        for number, value, carried, record in taken
        if value
    ]


def _digest(record: Any) -> bytes:
    """Of the record as it came: what steps make of it, the time when it came, is no change."""
    return blake2b(msgspec.json.encode(record, enc_hook=repr), digest_size=DIGEST_BYTES).digest()
