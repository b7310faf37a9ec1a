"""Values between stages for code that works on dicts: to native objects and back, checked against a
type of the schema."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from worker.core.instants import EPOCH, EPOCH_DAY, EPOCH_SHOWN, MICROS, MICROSECOND
from worker.core.json_kinds import describe_kind
from worker.core.model import FieldError
from worker.core.ports import InvalidRecord
from worker.schema.defaults import RANGES, number_range
from worker.schema.logical import describe_decimal, fits
from worker.schema.model import Schema, Type, by_kind, is_nullable, is_wide, null_branch
from worker.schema.values import Branch
from worker.transforms import values
from worker.transforms.kinds import Kind, kind_of

Convert = Callable[[Any], Any]
Check = Callable[[Any, str], Any]
"""(value, path) -> value between stages."""

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


def converter(kind: Type, schema: Schema, *, native: bool) -> Convert:
    """What turns a value of a field into what a python transform gets: plain JSON-like values.

    Args:
        native: dates and times become datetime objects.
    """
    to_native = _to_native(kind_of(kind, schema)) if native and not is_wide(kind) else None
    if to_native is not None:
        return lambda value: None if value is None else to_native(value)
    return _Converters(schema).of(kind)


class _Converters:
    """Makes what turns values into plain ones: typed records (Structs with f0, f1, ...) become
    dicts under their Avro names. What belongs to a record is made once, however often it is
    named."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._records: dict[str, list[tuple[str, str, Convert]]] = {}

    def of(self, kind: Type) -> Convert:
        kind = self._schema.value_type(kind)
        return self._BY_KIND[kind.kind](self, kind)

    def _record(self, kind: Type) -> Convert:
        fields = self._records.get(kind.name)
        if fields is None:
            fields = self._records[kind.name] = []  # filled below: recursive types find it
            fields.extend(
                (each.name, f"f{number}", self.of(each.type))
                for number, each in enumerate(kind.fields)
            )

        def convert(value: Any) -> Any:
            if isinstance(value, msgspec.Struct):
                return {name: inner(getattr(value, at)) for name, at, inner in fields}
            if isinstance(value, dict):
                return {name: inner(value[name]) for name, _, inner in fields}
            return value

        return convert

    def _array(self, kind: Type) -> Convert:
        assert kind.items is not None
        item = self.of(kind.items)
        return lambda value: None if value is None else [item(each) for each in value]

    def _map(self, kind: Type) -> Convert:
        assert kind.items is not None
        item = self.of(kind.items)
        return lambda value: (
            None if value is None else {key: item(each) for key, each in value.items()}
        )

    def _union(self, kind: Type) -> Convert:
        branches = [
            (_branch_name(branch), self.of(branch))
            for branch in map(self._schema.resolve, kind.branches)
        ]

        def convert(value: Any) -> Any:
            if not isinstance(value, Branch):
                return value
            name, inner = branches[value.number]
            found = inner(value.value)
            return _OfBranch(found, name) if isinstance(found, dict) else found

        return convert

    _BY_KIND: Final[Mapping[str, Callable[[_Converters, Type], Convert]]] = by_kind(
        {"record": _record, "array": _array, "map": _map, "union": _union},
        otherwise=lambda self, kind: lambda value: value,
    )


class _OfBranch(dict[str, Any]):
    """An object of a union that remembers its branch, which its fields alone may not tell."""

    __slots__ = ("branch",)

    def __init__(self, value: dict[str, Any], branch: str) -> None:
        super().__init__(value)
        self.branch = branch

    def __reduce__(self) -> tuple[Any, ...]:
        return _OfBranch, (dict(self), self.branch)


def _branch_name(branch: Type) -> str:
    return branch.name or branch.kind


def _to_native(kind: Kind) -> Convert | None:
    """What makes a native object of a value; None where there is none. A datetime has no
    nanoseconds, so such a time stays a whole number."""
    if kind.name == "timestamp" and kind.ticks <= MICROS:
        epoch = EPOCH_SHOWN if kind.local else EPOCH
        return _reaching(
            lambda value: epoch + timedelta(microseconds=value * MICROS // kind.ticks),
            "a time in the years 1 to 9999",
        )
    if kind.name == "date":
        return _reaching(
            lambda value: date.fromordinal(value + EPOCH_DAY), "a date in the years 1 to 9999"
        )
    if kind.name == "time":
        return _reaching(lambda value: _time(value * MICROS // kind.ticks), "a time of one day")
    return None


def _reaching(make: Convert, allowed: str) -> Convert:
    """Refuses numbers for which there is no native object."""

    def convert(value: Any) -> Any:
        try:
            return make(value)
        except (ValueError, OverflowError):
            raise values.refuse("conversion", "$", value, allowed) from None

    return convert


def _time(micros: int) -> time:
    seconds, fraction = divmod(micros, MICROS)
    return time(seconds // 3600, seconds // 60 % 60, seconds % 60, fraction)


# -- what comes back ----------------------------------------------------------------------------


def checker(kind: Type, schema: Schema) -> Check:
    """The check of a value that a transform made: it returns the value as one between stages, or
    raises InvalidRecord."""
    return _Checkers(schema).of(kind)


class _Checkers:
    """Makes the checks of values that a transform made; those of the fields of a record are made
    once, however often the record is named."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._records: dict[str, dict[str, Check]] = {}

    def of(self, kind: Type) -> Check:
        if is_wide(kind):
            return self._union(kind)
        check = self._value(self._schema.value_type(kind))
        may_be_null = is_nullable(kind)

        def checked(value: Any, path: str) -> Any:
            if value is None and may_be_null:
                return None
            return check(value, path)

        return checked

    def _value(self, kind: Type) -> Check:
        """The check of a type that is no union."""
        return self._BY_KIND[kind.kind](self, kind)

    def _null(self, kind: Type) -> Check:
        return lambda value, path: _refuse(value, path, "null")

    def _record(self, kind: Type) -> Check:
        fields = self._records.get(kind.name)
        if fields is None:
            fields = self._records[kind.name] = {}  # filled below: recursive types find it
            fields.update((each.name, self.of(each.type)) for each in kind.fields)

        def check(value: Any, path: str) -> Any:
            if not isinstance(value, dict):
                _refuse(value, path, "a dict")
            return {
                name: check(value.get(name), f"{path}.{name}") for name, check in fields.items()
            }

        return check

    def _array(self, kind: Type) -> Check:
        assert kind.items is not None
        item = self.of(kind.items)

        def check(value: Any, path: str) -> Any:
            if not isinstance(value, list):
                _refuse(value, path, "a list")
            return [item(each, f"{path}[{number}]") for number, each in enumerate(value)]

        return check

    def _map(self, kind: Type) -> Check:
        assert kind.items is not None
        item = self.of(kind.items)

        def check(value: Any, path: str) -> Any:
            if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
                _refuse(value, path, "a dict with text keys")
            for key in value:
                _unicode(key, path)
            return {key: item(each, f"{path}.{key[:40]}") for key, each in value.items()}

        return check

    def _scalar(self, kind: Type) -> Check:
        return scalar(kind, self._schema)

    def _union(self, kind: Type) -> Check:
        null = null_branch(kind)
        branches = [
            (_branch_name(each), number, _field_names(each), self._value(each))
            for number, each in enumerate(map(self._schema.resolve, kind.branches))
            if each.kind != "null"
        ]

        def check(value: Any, path: str) -> Any:
            if value is None and null is not None:
                return Branch(null, None)
            tried = branches
            if isinstance(value, _OfBranch):  # its own branch comes first
                tried = sorted(branches, key=lambda each: each[0] != value.branch)
            for _, number, names, inner in tried:
                if names is not None and isinstance(value, dict) and not value.keys() <= names:
                    continue  # a record with other fields
                try:
                    return Branch(number, inner(value, path))
                except (InvalidRecord, OverflowError):  # the next branch may fit
                    continue
            return _refuse(value, path, "a value of one of the branches")

        return check

    _BY_KIND: Final[Mapping[str, Callable[[_Checkers, Type], Check]]] = by_kind(
        {"null": _null, "record": _record, "array": _array, "map": _map}, otherwise=_scalar
    )


def _field_names(kind: Type) -> frozenset[str] | None:
    """The names of the fields of a record; None for other types."""
    return frozenset(each.name for each in kind.fields) if kind.kind == "record" else None


def scalar(kind: Type, schema: Schema) -> Check:
    """The check of a type without inner types."""
    what = kind_of(kind, schema)
    symbols, size, limits = frozenset(kind.symbols), kind.size, _limits(kind)
    allowed = f"one of {', '.join(kind.symbols)}" if symbols else kind.logical or kind.kind

    def check(value: Any, path: str) -> Any:
        value = _from_native(value, what)
        right = _TYPES.get(what.name, (int,))
        if not isinstance(value, right) or (isinstance(value, bool) and what.name != "bool"):
            _refuse(value, path, allowed)
        if limits is not None and not limits[0] <= value <= limits[1]:
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


def _limits(kind: Type) -> tuple[int, int] | None:
    """The least and the greatest whole number of a type; None for types of other values."""
    return number_range(kind) if kind.kind in RANGES else None


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
        epoch = EPOCH_SHOWN if kind.local else EPOCH
        return (value - epoch) // MICROSECOND * kind.ticks // MICROS
    if isinstance(value, date) and not isinstance(value, datetime) and kind.name == "date":
        return value.toordinal() - EPOCH_DAY
    if isinstance(value, time) and kind.name == "time":
        micros = ((value.hour * 60 + value.minute) * 60 + value.second) * MICROS + value.microsecond
        return micros * kind.ticks // MICROS
    return value


def _refusal(value: Any, path: str, allowed: str) -> InvalidRecord:
    return InvalidRecord(
        "python_result", (FieldError(path, describe_kind(value), allowed),), stage="transform"
    )


def _refuse(value: Any, path: str, allowed: str) -> Any:
    raise _refusal(value, path, allowed)
