"""Checks: JSON value -> datum, strictly and slowly, with every error and its path.

A check is `(value, path, errors) -> datum`. It follows the `validation` settings, appends
FieldErrors and never raises for bad data. Messages describe what was found by its type, never by
its content. The datum of a union with several branches besides null is `Branch(number, datum)`, so
that the encoder need not choose the branch again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from worker.core.model import MISSING, FieldError
from worker.schema.coerced_checks import COERCED, has_text, null_texts, uncoerced
from worker.schema.defaults import default_datum
from worker.schema.doubts import Doubts
from worker.schema.logical import TIME_RANGES
from worker.schema.model import (
    NO_DEFAULT,
    Field,
    Policy,
    Schema,
    Type,
    by_kind,
    is_nullable,
    is_wide,
    null_branch,
    value_branch,
)
from worker.schema.scalar_checks import refuse, scalar_check
from worker.schema.sizes import recursive_names
from worker.schema.spellings import ELSEWHERE, Place
from worker.schema.text_checks import NULL_HINT, TextCheck
from worker.schema.typed import Types
from worker.schema.unions import UnionCheck, tagged_union
from worker.schema.values import Branch, Check

MAX_DEPTH: Final = 64


class Checks:
    """Makes the checks of a schema under a policy, one per named type, so that types may be
    recursive.

    Attributes:
        doubts: what the checks doubt of the values that they allow.
    """

    def __init__(self, schema: Schema, policy: Policy, types: Types) -> None:
        self._schema, self._policy, self._types = schema, policy, types
        self._named: dict[tuple[str, Place], Check] = {}
        self._recursive = recursive_names(schema)
        self.doubts = Doubts()
        self._depth = 0  # recursive records around the present value, the root not counted

    def check(self, kind: Type, place: Place = ELSEWHERE) -> Check:
        """The check of a type that stands at a place."""
        if kind.kind != "ref":
            return self._make(kind, place)
        key = (kind.name, place)
        if key not in self._named:
            self._named[key] = self._later(key)
            made = self._make(self._schema.named[kind.name], place)
            self._named[key] = self._nested(made) if kind.name in self._recursive else made
        return self._named[key]

    def _later(self, key: tuple[str, Place]) -> Check:
        """Stands for the check of a named type while that is being made."""
        return lambda value, path, errors: self._named[key](value, path, errors)

    def _nested(self, inner: Check) -> Check:
        """The check of a recursive record, which bounds the depth."""

        def check(value: Any, path: str, errors: list[FieldError]) -> Any:
            self._depth += 1
            try:
                if self._depth < MAX_DEPTH:
                    return inner(value, path, errors)
                return refuse(value, path, errors, f"at most {MAX_DEPTH} levels")
            except RecursionError:  # many arrays between the records
                return refuse(value, path, errors, "fewer levels")
            finally:
                self._depth -= 1

        return check

    def _make(self, kind: Type, place: Place) -> Check:
        return self._BY_KIND[kind.kind](self, kind, place)

    def _scalar(self, kind: Type, place: Place) -> Check:
        return scalar_check(kind, self._policy, place, self.doubts)

    def _array(self, kind: Type, place: Place) -> Check:
        assert kind.items is not None
        item = self.check(kind.items, place)

        def check(value: Any, path: str, errors: list[FieldError]) -> Any:
            if not isinstance(value, list):
                return refuse(value, path, errors, "array")
            return [item(each, f"{path}[{number}]", errors) for number, each in enumerate(value)]

        return check

    def _map(self, kind: Type, place: Place) -> Check:
        assert kind.items is not None
        item = self.check(kind.items, place)

        def check(value: Any, path: str, errors: list[FieldError]) -> Any:
            if not isinstance(value, dict):
                return refuse(value, path, errors, "object")
            return {key: item(each, f"{path}.{key[:40]}", errors) for key, each in value.items()}

        return check

    def _record(self, kind: Type, place: Place) -> Check:
        fields = [
            (each, self.check(each.type, place.field(each.json_name)), self.filler(each))
            for each in kind.fields
        ]
        names = frozenset(each.json_name for each in kind.fields)
        reject_unknown = self._policy.unknown_fields == "reject"

        def check(value: Any, path: str, errors: list[FieldError]) -> Any:
            if not isinstance(value, dict):
                return refuse(value, path, errors, "object")
            if reject_unknown and (unknown := value.keys() - names):
                shown = ", ".join(sorted(unknown)[:5])
                allowed = "the fields of the schema"
                errors.append(FieldError(path, f"unknown fields {shown}", allowed))
            datum = {}
            for each, inner, fill in fields:
                at = f"{path}.{each.json_name}"
                got = value.get(each.json_name, MISSING)
                datum[each.name] = fill(at, errors) if got is MISSING else inner(got, at, errors)
            return datum

        return check

    def branch_of(self, union: Type) -> Callable[[tuple[str, ...]], int]:
        """The function keys of an object -> the number of the branch of a wide union that it is; -1
        for none."""
        check = self.check(union)
        return check.branch_of if isinstance(check, UnionCheck) else lambda keys: -1

    def filler(self, each: Field) -> Callable[[str, list[FieldError]], Any]:
        """What gives an absent field its datum: its default, null where the policy allows that, or
        else an error."""
        if each.default is not NO_DEFAULT:
            default = default_datum(each.type, each.default, self._schema)
            if allowed := self._beyond(each.type, default):
                return lambda path, errors: refuse(MISSING, path, errors, allowed)
            if isinstance(default, list | dict | Branch):
                # A record owns its values, because transforms may change them.
                return lambda path, errors: default_datum(each.type, each.default, self._schema)
            return lambda path, errors: default
        if is_nullable(each.type) and self._policy.missing_fields == "fill":
            absent = Branch(null_branch(each.type) or 0, None) if is_wide(each.type) else None
            return lambda path, errors: absent
        return lambda path, errors: refuse(MISSING, path, errors, "a value (the field is missing)")

    def _beyond(self, kind: Type, default: Any) -> str:
        """What is allowed instead of a default that is no time which readers have; empty if it is
        one, or no time at all."""
        logical = self._schema.value_type(kind).logical or ""
        low, high = TIME_RANGES.get(logical, (0, 0))
        if logical not in TIME_RANGES or type(default) is not int or low <= default <= high:
            return ""
        return f"a value, because the schema's default is beyond the range of {logical}"

    def _union(self, kind: Type, place: Place) -> Check:
        branches = [self._schema.resolve(branch) for branch in kind.branches]
        if is_wide(kind) and not self._policy.tagged:
            return self._wide(kind, branches, place)
        checks = [self.check(branch, place) for branch in kind.branches]
        if self._policy.tagged:
            return tagged_union(branches, checks, wide=is_wide(kind))
        number = value_branch(kind)
        inner = checks[number] if number is not None else _only_null
        if not is_nullable(kind):
            return inner
        return _or_null(inner, null_texts(branches, self._policy.spellings, place))

    def _wide(self, kind: Type, branches: list[Type], place: Place) -> Check:
        """A union of several types: where one of them is text, text is no number and no flag."""
        policy = self._policy
        if has_text(branches):
            policy = policy._replace(spellings=uncoerced(policy.spellings))
        checks = [
            scalar_check(each, policy, place, self.doubts)
            if each.kind in COERCED
            else self.check(branch, place)
            for branch, each in zip(kind.branches, branches, strict=True)
        ]
        return UnionCheck(branches, checks, self._schema, policy, self._types, place)

    _BY_KIND: Final[Mapping[str, Callable[[Checks, Type, Place], Check]]] = by_kind(
        {"array": _array, "map": _map, "record": _record, "union": _union}, otherwise=_scalar
    )


def _or_null(inner: Check, nulls: frozenset[str]) -> Check:
    """The check of null, also as one of some texts, and one other type; the value itself is the
    datum."""
    if isinstance(inner, TextCheck):
        return inner.or_null(nulls)

    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        if value is None or (isinstance(value, str) and value in nulls):
            return None
        before = len(errors)
        datum = inner(value, path, errors)
        if isinstance(value, str) and len(errors) > before:
            errors[-1] = replace(errors[-1], allowed=f"{errors[-1].allowed}{NULL_HINT}")
        return datum

    return check


def _only_null(value: Any, path: str, errors: list[FieldError]) -> Any:
    return refuse(value, path, errors, "null")
