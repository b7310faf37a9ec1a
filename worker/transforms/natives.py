"""Values between stages, for code that works on dicts: to native objects and back, checked against a schema type."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from worker.core.model import FieldError
from worker.core.ports import InvalidRecord
from worker.schema.logical import describe_decimal, fits
from worker.schema.model import Schema, Type, is_nullable, is_wide
from worker.schema.values import Branch, describe_kind
from worker.transforms import values
from worker.transforms.kinds import Kind, kind_of

Check = Callable[[Any, str], Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MICROS: Final = 1_000_000
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "bytes": (bytes,),
    "decimal": (Decimal,),
    "array": (list,),
    "map": (dict,),
    "record": (dict,),
}


def converter(kind: Type, schema: Schema, *, native: bool) -> Callable[[Any], Any]:
    """What a field looks like to a python transform: plain JSON-like values, and datetime objects when `native`."""
    if is_wide(kind):
        return lambda value: _plain(value.value) if isinstance(value, Branch) else _plain(value)
    to_native = _to_native(kind_of(kind, schema)) if native else None
    if to_native is not None:
        return lambda value: None if value is None else to_native(value)
    names = _renamed(schema.value_type(kind), schema)
    return names if names is not None else _plain


def _renamed(kind: Type, schema: Schema) -> Callable[[Any], Any] | None:
    """Typed nested records (Structs with f0, f1, ...) as dicts under their Avro names."""
    if kind.kind == "record":
        inners = [(each.name, _deep(each.type, schema)) for each in kind.fields]

        def convert(value: Any) -> Any:
            if isinstance(value, msgspec.Struct):
                return {
                    name: inner_of(getattr(value, f"f{number}"))
                    for number, (name, inner_of) in enumerate(inners)
                }
            return _plain(value)

        return convert
    if kind.kind in ("array", "map") and kind.items is not None:
        item = _deep(kind.items, schema)
        if kind.kind == "array":
            return lambda value: None if value is None else [item(each) for each in value]
        return lambda value: (
            None if value is None else {key: item(each) for key, each in value.items()}
        )
    return None


def _deep(kind: Type, schema: Schema) -> Callable[[Any], Any]:
    found_inner = schema.value_type(kind)
    if found_inner.kind in ("record", "array", "map"):
        return lambda value: (
            None if value is None else (_renamed(schema.value_type(kind), schema) or _plain)(value)
        )
    return _plain


def _plain(value: Any) -> Any:
    if isinstance(value, Branch):
        return _plain(value.value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


def _to_native(kind: Kind) -> Callable[[Any], Any] | None:
    if (
        kind.name == "timestamp" and kind.ticks <= _MICROS
    ):  # a datetime has no nanoseconds: such a time stays a whole number
        zone = None if kind.local else UTC
        epoch = _EPOCH.replace(tzinfo=zone)
        return _reaching(
            lambda value: epoch + timedelta(microseconds=value * _MICROS // kind.ticks),
            "a time in the years 1 to 9999",
        )
    if kind.name == "date":
        return _reaching(
            lambda value: date.fromordinal(value + values.EPOCH_DAY),
            "a date in the years 1 to 9999",
        )
    if kind.name == "time":
        return _reaching(lambda value: _time(value * _MICROS // kind.ticks), "a time of one day")
    return None


def _reaching(make: Callable[[Any], Any], allowed: str) -> Callable[[Any], Any]:
    """Numbers may lie where no native object reaches."""

    def convert(value: Any) -> Any:
        try:
            return make(value)
        except (ValueError, OverflowError):
            raise values.refuse("conversion", "$", value, allowed) from None

    return convert


def _time(micros: int) -> time:
    seconds, fraction = divmod(micros, _MICROS)
    return time(seconds // 3600, seconds // 60 % 60, seconds % 60, fraction)


def checker(kind: Type, schema: Schema, known: dict[str, dict[str, Check]] | None = None) -> Check:
    """A check of a value that a transform made: returns it as a value between stages; raises InvalidRecord.

    `known`: the checks of the fields of records, each made once, however often and however deep a record is named.
    """
    known = {} if known is None else known
    if is_wide(kind):
        return _union(kind, schema, known)
    check = _checker(schema.value_type(kind), schema, known)
    may_be_null = is_nullable(kind)

    def checked(value: Any, path: str) -> Any:
        if value is None and may_be_null:
            return None
        return check(value, path)

    return checked


def _checker(kind: Type, schema: Schema, known: dict[str, dict[str, Check]]) -> Check:
    if kind.kind == "null":
        return lambda value, path: _refuse(value, path, "null")
    if kind.kind == "record":
        if kind.name not in known:
            known[kind.name] = {}  # filled below: records that hold themselves find it
            known[kind.name].update(
                (each.name, checker(each.type, schema, known)) for each in kind.fields
            )
        fields = known[kind.name]

        def record(value: Any, path: str) -> Any:
            if not isinstance(value, dict):
                _refuse(value, path, "a dict")
            return {
                name: check(value.get(name), f"{path}.{name}") for name, check in fields.items()
            }

        return record
    if kind.kind in ("array", "map") and kind.items is not None:
        return _container(kind, checker(kind.items, schema, known))
    return scalar(kind, schema)


def _container(kind: Type, item: Check) -> Check:
    def array(value: Any, path: str) -> Any:
        if not isinstance(value, list):
            _refuse(value, path, "a list")
        return [item(each, f"{path}[{number}]") for number, each in enumerate(value)]

    def mapping(value: Any, path: str) -> Any:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            _refuse(value, path, "a dict with text keys")
        for key in value:
            _unicode(key, path)
        return {key: item(each, f"{path}.{key[:40]}") for key, each in value.items()}

    return array if kind.kind == "array" else mapping


_RANGES: Final = {"int": 2**31, "long": 2**63}


def scalar(kind: Type, schema: Schema) -> Check:
    """The check of a type without inner types."""
    what = kind_of(kind, schema)
    symbols, size, limit = frozenset(kind.symbols), kind.size, _RANGES.get(kind.kind)
    allowed = f"one of {', '.join(kind.symbols)}" if symbols else kind.logical or kind.kind

    def check(value: Any, path: str) -> Any:
        value = _from_native(value, what)
        right = _TYPES.get(what.name, (int,))
        if not isinstance(value, right) or (isinstance(value, bool) and what.name != "bool"):
            _refuse(value, path, allowed)
        if limit is not None and not -limit <= value < limit:
            _refuse(value, path, f"{allowed} in range")
        if what.name == "float":
            return _finite(float(value), path)
        if (symbols and value not in symbols) or (
            kind.kind == "fixed" and isinstance(value, bytes) and len(value) != size
        ):
            _refuse(value, path, allowed)
        if what.name == "decimal":
            return _decimal(value, kind, path)
        if isinstance(value, str):
            _unicode(value, path)
        return value

    return check


def kind_checker(kind: Kind, *, nullable: bool) -> Check:
    """The check of a value whose schema type is not known, by its kind."""

    def check(value: Any, path: str) -> Any:
        if value is None and nullable:
            return None
        value = _from_native(value, kind)
        if not isinstance(value, _TYPES.get(kind.name, (int,))) or (
            isinstance(value, bool) and kind.name != "bool"
        ):
            _refuse(value, path, str(kind))
        if kind.name == "float":
            return _finite(float(value), path)
        if isinstance(value, str):
            _unicode(value, path)
        return values.in_64_bits(value) if kind.name == "int" else value

    return check


def _finite(value: float, path: str) -> float:
    if math.isfinite(value):
        return value
    what = "not a number (NaN)" if math.isnan(value) else "infinity"
    raise InvalidRecord(
        "python_result", (FieldError(path, what, "a finite number"),), stage="transform"
    )


def _decimal(value: Decimal, kind: Type, path: str) -> Decimal:
    if value.is_finite() and fits(kind, value):
        return value
    raise _refusal(value, path, describe_decimal(kind))


def _unicode(value: str, path: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        _refuse(value, path, "text without lone surrogates")


def _from_native(value: Any, kind: Kind) -> Any:
    if (
        isinstance(value, datetime)
        and kind.name == "timestamp"
        and (value.tzinfo is None) == kind.local
    ):
        epoch = _EPOCH.replace(tzinfo=None) if kind.local else _EPOCH
        return (value - epoch) // _MICROSECOND * kind.ticks // _MICROS
    if isinstance(value, date) and not isinstance(value, datetime) and kind.name == "date":
        return value.toordinal() - values.EPOCH_DAY
    if isinstance(value, time) and kind.name == "time":
        micros = (
            (value.hour * 60 + value.minute) * 60 + value.second
        ) * _MICROS + value.microsecond
        return micros * kind.ticks // _MICROS
    return value


def _union(kind: Type, schema: Schema, known: dict[str, dict[str, Check]]) -> Check:
    branches = [schema.resolve(branch) for branch in kind.branches]
    checks = [
        _checker(branch, schema, known) if branch.kind != "null" else None for branch in branches
    ]

    def check(value: Any, path: str) -> Any:
        for number, (branch, inner_check) in enumerate(zip(branches, checks, strict=True)):
            if value is None and branch.kind == "null":
                return Branch(number, None)
            if inner_check is None or (
                branch.kind == "record"
                and isinstance(value, dict)
                and not value.keys() <= {each.name for each in branch.fields}
            ):
                continue
            try:
                return Branch(number, inner_check(value, path))
            except (InvalidRecord, OverflowError):  # this branch does not fit; the next may
                continue
        return _refuse(value, path, "a value of one of the branches")

    return check


def _refusal(value: Any, path: str, allowed: str) -> InvalidRecord:
    return InvalidRecord(
        "python_result", (FieldError(path, describe_kind(value), allowed),), stage="transform"
    )


def _refuse(value: Any, path: str, allowed: str) -> Any:
    raise _refusal(value, path, allowed)
