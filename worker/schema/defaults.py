"""Default values of fields: checked against their type, and turned into datums.

A default is JSON of the *underlying* type: bytes and fixed are text of code points below 256, and a
logical type has its raw form. The default of a union is a value of the first branch that it fits
(specification 1.12, "Complex Types", "Records"). A record may leave out fields that have defaults.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from worker.schema.errors import SchemaError
from worker.schema.logical import TIME_RANGES, from_raw
from worker.schema.model import NO_DEFAULT, Schema, Type, by_kind, is_wide
from worker.schema.values import Branch

MAX_NODES: Final = 10_000
MAX_NODES_ALL: Final = 100_000
MAX_LEVELS: Final = 64
RANGES: Final = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
FLOAT_MAX: Final = 3.4028235677973362e38
"""The last double that rounds to the largest float; that float is usually written 3.4028235e38."""
DOUBLE_MAX: Final = 1.7976931348623157e308
_FLOATS: Final = {"float": FLOAT_MAX, "double": DOUBLE_MAX}


def number_range(kind: Type) -> tuple[int, int]:
    """The least and the greatest datum of an int or a long; a logical type has fewer of them."""
    return TIME_RANGES.get(kind.logical or "", RANGES[kind.kind])


Misfit = tuple[str, str]
"""The path of a default that does not fit its type, and why it does not."""


def check_defaults(defaults: Iterable[tuple[Type, Any, str]], schema: Schema) -> None:
    """Checks defaults, each given as (type of the field, JSON value, path in the schema).

    Raises:
        SchemaError: a default does not fit its type, or the defaults grow beyond MAX_NODES_ALL.
    """
    work = _Defaults(schema, MAX_NODES_ALL)
    for kind, value, path in defaults:
        work.path = path
        misfit = work.misfit(kind, value, path)
        if misfit is not None:
            raise SchemaError(*misfit)
        work.datum(kind, value)


def default_datum(kind: Type, value: Any, schema: Schema, *, branches: bool = True) -> Any:
    """The datum of a default that was checked.

    Args:
        branches: values of unions with several branches besides null become `Branch`es.
    """
    return _Defaults(schema, MAX_NODES, branches=branches).datum(kind, value)


class _Defaults:
    """Checks and expands defaults. The defaults of fields that a default leaves out can multiply
    without end, so all steps are counted."""

    def __init__(self, schema: Schema, steps: int, *, branches: bool = True) -> None:
        self._schema, self._branches, self._steps = schema, branches, steps
        self.path = "$"

    def _step(self, depth: int) -> None:
        self._steps -= 1
        if self._steps < 0 or depth > MAX_LEVELS:
            raise SchemaError(
                self.path,
                "the defaults, with those of fields that they leave out,"
                f" have more than {MAX_NODES} values or {MAX_LEVELS} levels",
            )

    # -- does a default fit? --------------------------------------------------------------------

    def misfit(self, kind: Type, value: Any, path: str, depth: int = 0) -> Misfit | None:
        """Where a default does not fit its type, and why; None when it fits."""
        self._step(depth)
        kind = self._schema.resolve(kind)
        rule = _RULES[kind.kind]
        if not rule.fits(kind, value):
            label = kind.name or kind.kind
            found, allowed = json_type(value), rule.allowed(kind)
            return path, f"{found} is not a valid default for {label}, {allowed} is allowed"
        return self._MISFIT_INSIDE[kind.kind](self, kind, value, path, depth + 1)

    def _union_misfit(self, kind: Type, value: Any, path: str, depth: int) -> Misfit | None:
        misfits = []
        for branch in kind.branches:
            if (misfit := self.misfit(branch, value, path, depth)) is None:
                return None
            misfits.append(misfit)
        if len(misfits) == 1 or any(at != path for at, _ in misfits):
            return max(misfits, key=lambda each: len(each[0]))  # of the branch that came furthest
        labels = [self._schema.resolve(branch).name or branch.kind for branch in kind.branches]
        allowed = ", ".join(labels) or "nothing"
        return path, f"{json_type(value)} is not a valid default for a union of {allowed}"

    def _array_misfit(self, kind: Type, value: Any, path: str, depth: int) -> Misfit | None:
        assert kind.items is not None
        for number, item in enumerate(value):
            if misfit := self.misfit(kind.items, item, f"{path}[{number}]", depth):
                return misfit
        return None

    def _map_misfit(self, kind: Type, value: Any, path: str, depth: int) -> Misfit | None:
        assert kind.items is not None
        for key, item in value.items():
            if misfit := self.misfit(kind.items, item, f"{path}.{key[:40]}", depth):
                return misfit
        return None

    def _record_misfit(self, kind: Type, value: Any, path: str, depth: int) -> Misfit | None:
        for each in kind.fields:
            if each.name in value:
                at = f"{path}.{each.name}"
                if misfit := self.misfit(each.type, value[each.name], at, depth):
                    return misfit
            elif each.default is NO_DEFAULT:
                name = repr(each.name)
                return path, f"the default lacks field {name}, which has no default of its own"
        return None

    _MISFIT_INSIDE: Final[
        Mapping[str, Callable[[_Defaults, Type, Any, str, int], Misfit | None]]
    ] = by_kind(
        {
            "union": _union_misfit,
            "array": _array_misfit,
            "map": _map_misfit,
            "record": _record_misfit,
        },
        otherwise=lambda self, kind, value, path, depth: None,
    )

    # -- its datum ------------------------------------------------------------------------------

    def datum(self, kind: Type, value: Any, depth: int = 0) -> Any:
        """The datum of a default that fits."""
        self._step(depth)
        kind = self._schema.resolve(kind)
        return self._DATUM[kind.kind](self, kind, value, depth + 1)

    def _union_datum(self, kind: Type, value: Any, depth: int) -> Any:
        number = next(
            number
            for number, branch in enumerate(kind.branches)
            if self.misfit(branch, value, "$", depth) is None
        )
        inner = self.datum(kind.branches[number], value, depth)
        return Branch(number, inner) if self._branches and is_wide(kind) else inner

    def _array_datum(self, kind: Type, value: Any, depth: int) -> Any:
        assert kind.items is not None
        return [self.datum(kind.items, item, depth) for item in value]

    def _map_datum(self, kind: Type, value: Any, depth: int) -> Any:
        assert kind.items is not None
        return {key: self.datum(kind.items, item, depth) for key, item in value.items()}

    def _record_datum(self, kind: Type, value: Any, depth: int) -> Any:
        return {
            each.name: self.datum(each.type, value.get(each.name, each.default), depth)
            for each in kind.fields
        }

    def _bytes_datum(self, kind: Type, value: Any, depth: int) -> Any:
        try:
            return from_raw(kind, value.encode("latin-1"))
        except ValueError as error:
            raise SchemaError(self.path, f"the default is not a {kind.logical}: {error}") from error

    _DATUM: Final[Mapping[str, Callable[[_Defaults, Type, Any, int], Any]]] = by_kind(
        {
            "union": _union_datum,
            "array": _array_datum,
            "map": _map_datum,
            "record": _record_datum,
            "bytes fixed": _bytes_datum,
            "float double": lambda self, kind, value, depth: float(value),
        },
        otherwise=lambda self, kind, value, depth: value,
    )


# -- the value itself, without what is in it ----------------------------------------------------


class _Rule(NamedTuple):
    """Which JSON values can be defaults of a kind of type, and how error messages describe them."""

    fits: Callable[[Type, Any], bool]
    allowed: Callable[[Type], str]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _in_range(kind: Type, value: Any) -> bool:
    low, high = RANGES[kind.kind]
    return _is_whole(value) and low <= value <= high


def _range(kind: Type) -> str:
    low, high = RANGES[kind.kind]
    return f"a whole number from {low} to {high}"


def _is_number(kind: Type, value: Any) -> bool:
    limit = _FLOATS[kind.kind]
    number = _is_whole(value) or (isinstance(value, float) and math.isfinite(value))
    return number and -limit <= value <= limit


def _is_latin1(kind: Type, value: Any) -> bool:
    return isinstance(value, str) and all(char < "\u0100" for char in value)


def _is_fixed(kind: Type, value: Any) -> bool:
    return _is_latin1(kind, value) and len(value) == kind.size


def _is_symbol(kind: Type, value: Any) -> bool:
    return isinstance(value, str) and value in kind.symbols


def _is(json: type, allowed: str) -> _Rule:
    return _Rule(lambda kind, value: isinstance(value, json), lambda kind: allowed)


_LATIN1: Final = "text of code points below 256"
_RULES: Final = by_kind(
    {
        "null": _is(type(None), "null"),
        "boolean": _is(bool, "true or false"),
        "int long": _Rule(_in_range, _range),
        "float double": _Rule(_is_number, lambda kind: f"a number in the range of {kind.kind}"),
        "string": _is(str, "text"),
        "bytes": _Rule(_is_latin1, lambda kind: _LATIN1),
        "fixed": _Rule(_is_fixed, lambda kind: f"{_LATIN1} for {kind.size} bytes"),
        "enum": _Rule(_is_symbol, lambda kind: f"one of {', '.join(kind.symbols[:20])}"),
        "array": _is(list, "an array"),
        "map record": _is(dict, "an object"),
        "union": _is(object, "any value"),  # its branches decide
    }
)


def json_type(value: Any) -> str:
    """What kind of JSON value it is, with its article."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "a number"
    names = {
        dict: "an object",
        list: "an array",
        str: "text",
        bool: "a boolean",
        type(None): "null",
    }
    return names[type(value)]
