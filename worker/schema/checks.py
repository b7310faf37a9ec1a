"""JSON value -> datum, strictly and slowly, with every error and its path (the rules of the `validation` settings).

A check is `(value, path, errors) -> datum`; it appends FieldErrors and never raises for bad data. Messages describe what was
found by type, never by content. A union of several branches gives `Branch(number, datum)`, so that the encoder need not guess again.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final

from worker.core.model import MISSING, FieldError
from worker.schema.codegen import compile_lookup
from worker.schema.defaults import DOUBLE_MAX, FLOAT_MAX, RANGES, default_datum
from worker.schema.logical import (
    EXACT,
    MAX_PRECISION,
    fits,
    from_raw,
    read_decimal,
    read_duration,
    read_uuid,
)
from worker.schema.model import NO_DEFAULT, Field, Policy, Schema, Type, is_wide
from worker.schema.sizes import recursive_names
from worker.schema.typed import Types
from worker.schema.unions import UnionCheck, tagged_union
from worker.schema.values import INEXACT, Branch, Check, ExactFloat, QuickCheck, describe_kind

MAX_DEPTH: Final = 64
FLOAT_DIGITS: Final = 15  # numbers of more digits may be rounded
CACHED_TIMES: Final = 10_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:[0-5]\d)?", re.ASCII
)
_TIME: Final = re.compile(r"(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class Checks:
    """Makes the checks of a schema under a policy; one a type, so recursive types work."""

    def __init__(self, schema: Schema, policy: Policy, types: Types) -> None:
        self._schema, self._policy, self._types = schema, policy, types
        self._named: dict[str, Check] = {}
        self._recursive = recursive_names(schema)
        self._depth = 0  # records around a value that can hold themselves, besides the root

    def check(self, kind: Type) -> Check:
        """The check of a type."""
        if kind.kind == "ref":
            name = kind.name
            if name not in self._named:
                self._named[name] = lambda value, path, errors: self._named[name](
                    value, path, errors
                )  # while it is being made
                made = self._make(self._schema.named[name])
                self._named[name] = self._nested(made) if name in self._recursive else made
            return self._named[name]
        return self._make(kind)

    def _nested(self, inner: Check) -> Check:
        def check(value: Any, path: str, errors: list[FieldError]) -> Any:
            self._depth += 1
            try:
                return (
                    inner(value, path, errors)
                    if self._depth < MAX_DEPTH
                    else _bad(value, path, errors, f"at most {MAX_DEPTH} levels")
                )
            except RecursionError:  # many arrays between the records
                return _bad(value, path, errors, "fewer levels")
            finally:
                self._depth -= 1

        return check

    def _make(self, kind: Type) -> Check:
        if kind.logical is not None:
            return _logical(kind, self._policy)
        match kind.kind:
            case "null":
                return _only(lambda value: value is None, "null")
            case "boolean":
                return _only(lambda value: isinstance(value, bool), "boolean")
            case "int" | "long":
                return _integer(kind.kind)
            case "float" | "double":
                return _floating(FLOAT_MAX if kind.kind == "float" else DOUBLE_MAX, kind.kind)
            case "string":
                return _only(lambda value: isinstance(value, str), "text")
            case "bytes" | "fixed":
                return _binary(kind, self._policy.bytes_as)
            case "enum":
                symbols = frozenset(kind.symbols)
                return _only(
                    lambda value: isinstance(value, str) and value in symbols,
                    f"one of {', '.join(kind.symbols)}",
                )
            case "array":
                return self._array(kind)
            case "map":
                return self._map(kind)
            case "union":
                return self._union(kind)
            case _:
                return self._record(kind)

    def _array(self, kind: Type) -> Check:
        assert kind.items is not None
        item = self.check(kind.items)

        def check(value: Any, path: str, errors: list[FieldError]) -> Any:
            if not isinstance(value, list):
                return _bad(value, path, errors, "array")
            return [item(each, f"{path}[{number}]", errors) for number, each in enumerate(value)]

        return check

    def _map(self, kind: Type) -> Check:
        assert kind.items is not None
        item = self.check(kind.items)

        def check(value: Any, path: str, errors: list[FieldError]) -> Any:
            if not isinstance(value, dict):
                return _bad(value, path, errors, "object")
            return {key: item(each, f"{path}.{key[:40]}", errors) for key, each in value.items()}

        return check

    def _record(self, kind: Type) -> Check:
        fields = [(each, self.check(each.type), self.filler(each)) for each in kind.fields]
        names = frozenset(each.json_name for each in kind.fields)
        reject_unknown = self._policy.unknown_fields == "reject"

        def check(value: Any, path: str, errors: list[FieldError]) -> Any:
            if not isinstance(value, dict):
                return _bad(value, path, errors, "object")
            if reject_unknown and (unknown := value.keys() - names):
                errors.append(
                    FieldError(
                        path,
                        f"unknown fields {', '.join(sorted(unknown)[:5])}",
                        "the fields of the schema",
                    )
                )
            datum = {}
            for each, inner, fill in fields:
                at = f"{path}.{each.json_name}"
                got = value.get(each.json_name, MISSING)
                datum[each.name] = fill(at, errors) if got is MISSING else inner(got, at, errors)
            return datum

        return check

    def filler(self, each: Field) -> Callable[[str, list[FieldError]], Any]:
        """What an absent field becomes: its default, null where that is allowed, or an error."""
        nullable = (
            any(branch.kind == "null" for branch in each.type.branches) or each.type.kind == "null"
        )
        if each.default is not NO_DEFAULT:
            default = default_datum(each.type, each.default, self._schema)
            if isinstance(
                default, list | dict | Branch
            ):  # a record owns its values: transforms may change them
                return lambda path, errors: default_datum(each.type, each.default, self._schema)
            return lambda path, errors: default
        if nullable and self._policy.missing_fields == "fill":
            index = next(
                (
                    number
                    for number, branch in enumerate(each.type.branches)
                    if branch.kind == "null"
                ),
                0,
            )
            absent = Branch(index, None) if is_wide(each.type) else None
            return lambda path, errors: absent
        return lambda path, errors: _bad(MISSING, path, errors, "a value (the field is missing)")

    def _union(self, kind: Type) -> Check:
        branches = [self._schema.resolve(branch) for branch in kind.branches]
        checks = [self.check(branch) for branch in kind.branches]
        if self._policy.tagged:
            return tagged_union(branches, checks, wide=is_wide(kind))
        return (
            UnionCheck(branches, checks, self._schema, self._policy, self._types)
            if is_wide(kind)
            else self._narrow(branches, checks)
        )

    def _narrow(self, branches: list[Type], checks: list[Check]) -> Check:
        """null and one other branch, or one branch alone: the value itself is the datum."""
        inner = next(
            (
                check
                for branch, check in zip(branches, checks, strict=True)
                if branch.kind != "null"
            ),
            None,
        )
        nullable = any(branch.kind == "null" for branch in branches)
        if isinstance(inner, TimeCheck):
            return inner.or_null() if nullable else inner

        def check(value: Any, path: str, errors: list[FieldError]) -> Any:
            if value is None and nullable:
                return None
            return (
                _bad(value, path, errors, "null") if inner is None else inner(value, path, errors)
            )

        return check


def _bad(value: Any, path: str, errors: list[FieldError], allowed: str) -> None:
    errors.append(
        FieldError(path, "nothing" if value is MISSING else describe_kind(value), allowed)
    )


def _only(fits: Callable[[Any], bool], allowed: str) -> Check:
    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        return value if fits(value) else _bad(value, path, errors, allowed)

    return check


def _integer(kind: str) -> Check:
    low, high = RANGES[kind]

    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        if type(value) is int and low <= value <= high:
            return value
        return _bad(value, path, errors, f"a whole number from {low} to {high}")

    return check


def _floating(limit: float, kind: str) -> Check:
    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        if type(value) in (int, float, ExactFloat) and -limit <= value <= limit:
            return float(value)
        return _bad(value, path, errors, f"a number in the range of {kind}")

    return check


def _binary(kind: Type, bytes_as: str) -> Check:
    allowed = {"latin1": "text of code points below 256", "base64": "base64 text"}[bytes_as] + (
        f" for {kind.size} bytes" if kind.kind == "fixed" else ""
    )

    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        try:
            data = (
                value.encode("latin-1")
                if bytes_as == "latin1"
                else base64.b64decode(value, validate=True)
            )
        except (AttributeError, UnicodeEncodeError, TypeError, binascii.Error, ValueError):
            return _bad(value, path, errors, allowed)
        return (
            data
            if kind.kind != "fixed" or len(data) == kind.size
            else _bad(value, path, errors, allowed)
        )

    return check


# -- logical types ------------------------------------------------------------------------------------------------


def _logical(kind: Type, policy: Policy) -> Check:
    if policy.tagged and kind.kind in ("bytes", "fixed"):
        return _encoded(kind)
    if kind.logical in ("decimal", "big-decimal"):
        return _decimal(kind)
    if kind.logical == "uuid":
        return _uuid
    if kind.logical == "duration":
        return _duration
    read, allowed = _TIMES[kind.logical or ""]
    return TimeCheck(_integer(kind.kind), read, allowed)


def _encoded(kind: Type) -> Check:
    """A logical type as the JSON encoding of Avro has it: the bytes that stand for it."""
    binary, read = _binary(replace(kind, logical=None), "latin1"), from_raw

    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        before = len(errors)
        raw = binary(value, path, errors)
        if len(errors) > before:
            return None
        try:
            return read(kind, raw)
        except ValueError:
            return _bad(
                value,
                path,
                errors,
                f"the bytes of a {kind.logical} as text of code points below 256",
            )

    return check


class TimeCheck(QuickCheck):
    """Numbers pass as they are; texts are read once and remembered (`known`): pages repeat the same times."""

    def __init__(
        self,
        number: Check,
        read: Callable[[str], int],
        allowed: str,
        known: dict[str, int] | None = None,
        *,
        nullable: bool = False,
    ) -> None:
        self._number, self._read, self._allowed, self._nullable = number, read, allowed, nullable
        self.known: dict[str, int] = {} if known is None else known

    def or_null(self) -> TimeCheck:
        """The same where null is allowed."""
        return TimeCheck(self._number, self._read, self._allowed, self.known, nullable=True)

    def quick(self, records: Sequence[Any], attribute: str) -> Sequence[int]:
        """See `QuickCheck`: times that are known take a third of the time."""
        return compile_lookup(attribute)(records, self.known.get)

    def __call__(self, value: Any, path: str, errors: list[FieldError]) -> Any:
        if value is None and self._nullable:
            return None
        if not isinstance(value, str):
            return self._number(value, path, errors)
        known = self.known
        if (datum := known.get(value)) is None:
            try:
                datum = self._read(value)
            except (ValueError, OverflowError):
                return _bad(value, path, errors, self._allowed)
            if len(known) >= CACHED_TIMES:
                known.clear()
            known[value] = datum
        return datum


def _instant(per_second: int, *, zoned: bool) -> Callable[[str], int]:
    def read(text: str) -> int:
        match = _RFC3339.fullmatch(text)
        if match is None or (match[4] is not None) != zoned:
            raise ValueError(text)
        zone = "+00:00" if match[4] is None or match[4] in "Zz" else match[4]
        moment = datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}") - _EPOCH
        nanos = int((match[3] or "").ljust(9, "0") or 0)
        ticks = (
            moment.days * 86_400 + moment.seconds
        ) * per_second + nanos * per_second // 1_000_000_000
        if not -(2**63) <= ticks < 2**63:  # years beyond 1677 to 2262 in nanoseconds
            raise OverflowError(text)
        return ticks

    return read


def _clock(per_second: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        match = _TIME.fullmatch(text)
        if match is None:
            raise ValueError(text)
        at = time.fromisoformat(match[1])
        nanos = int((match[2] or "").ljust(9, "0") or 0)
        return (
            at.hour * 3600 + at.minute * 60 + at.second
        ) * per_second + nanos * per_second // 1_000_000_000

    return read


def _day(text: str) -> int:
    if _DATE.fullmatch(text) is None:  # Python reads weeks, too
        raise ValueError(text)
    return date.fromisoformat(text).toordinal() - 719_163


_ZONED: Final = "RFC 3339 text with a zone, or a whole number"
_LOCAL: Final = "ISO 8601 text without a zone, or a whole number"
_TIMES: Final[dict[str, tuple[Callable[[str], int], str]]] = {
    "date": (_day, "an ISO date, or days since 1970"),
    "time-millis": (_clock(1_000), "an ISO time, or milliseconds"),
    "time-micros": (_clock(1_000_000), "an ISO time, or microseconds"),
    "timestamp-millis": (_instant(1_000, zoned=True), _ZONED),
    "timestamp-micros": (_instant(1_000_000, zoned=True), _ZONED),
    "timestamp-nanos": (
        _instant(1_000_000_000, zoned=True),
        f"{_ZONED}, from 1677-09-21 to 2262-04-11",
    ),
    "local-timestamp-millis": (_instant(1_000, zoned=False), _LOCAL),
    "local-timestamp-micros": (_instant(1_000_000, zoned=False), _LOCAL),
    "local-timestamp-nanos": (
        _instant(1_000_000_000, zoned=False),
        f"{_LOCAL}, from 1677-09-21 to 2262-04-11",
    ),
}


def _uuid(value: Any, path: str, errors: list[FieldError]) -> Any:
    try:
        return read_uuid(value) if isinstance(value, str) else _bad(value, path, errors, "a uuid")
    except ValueError:
        return _bad(value, path, errors, "a uuid")


def _duration(value: Any, path: str, errors: list[FieldError]) -> Any:
    try:
        return read_duration(value)
    except (TypeError, ValueError):
        return _bad(value, path, errors, "an ISO 8601 duration, like P1M2DT3.004S")


def _decimal(kind: Type) -> Check:
    precise = f"a decimal of at most {kind.precision} digits, {kind.scale} of them behind the point"
    allowed = (
        precise if kind.logical == "decimal" else f"a decimal of at most {MAX_PRECISION} digits"
    )

    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        number = _number(value)
        if type(value) is float and number is not None and _may_be_rounded(number):
            errors.append(FieldError(path, INEXACT, allowed))
            return None
        return (
            number
            if number is not None and fits(kind, number)
            else _bad(value, path, errors, allowed)
        )

    return check


def _may_be_rounded(number: Decimal) -> bool:
    """What a float shows has so many digits that its text may have had others."""
    return len(number.normalize(EXACT).as_tuple().digits) > FLOAT_DIGITS


def _number(value: Any) -> Decimal | None:
    """The finite number that a JSON number or text says; None for anything else."""
    try:
        if isinstance(value, str):
            return read_decimal(value)
        if isinstance(value, ExactFloat):
            number = Decimal(repr(float(value)))
            return read_decimal(value.text) if _may_be_rounded(number) else number
        if type(value) not in (int, float):
            return None
        number = Decimal(repr(value))
    except (ArithmeticError, ValueError):
        return None
    return number if number.is_finite() else None
