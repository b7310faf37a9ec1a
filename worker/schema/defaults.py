"""Default values of fields: checked against their type, and turned into datums.

A default is JSON of the *underlying* type: bytes and fixed are code points below 256, logical types their raw form. That of a
union is a value of the first branch that it fits (specification 1.12). A record may leave out fields that have defaults of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from worker.schema.errors import SchemaError
from worker.schema.logical import from_raw
from worker.schema.model import NO_DEFAULT, Schema, Type, is_wide
from worker.schema.values import Branch

MAX_NODES: Final = 10_000
MAX_NODES_ALL: Final = 100_000
MAX_LEVELS: Final = 64
RANGES: Final = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
FLOAT_MAX: Final = 3.4028235677973362e38  # the last double that rounds to the largest float: its usual text is 3.4028235e38
DOUBLE_MAX: Final = 1.7976931348623157e308
_FLOATS: Final = {"float": FLOAT_MAX, "double": DOUBLE_MAX}


def check_defaults(defaults: Iterable[tuple[Type, Any, str]], schema: Schema) -> None:
    """(type, value, path) each. Raises SchemaError when a default is none of its type, or grows without end."""
    work = _Defaults(schema, MAX_NODES_ALL)
    for kind, value, path in defaults:
        work.path = path
        problem = work.problem(kind, value, path)
        if problem is not None:
            raise SchemaError(*problem)
        work.datum(kind, value)


def default_datum(kind: Type, value: Any, schema: Schema, *, branches: bool = True) -> Any:
    """The datum of a default that was checked. `branches`: values of wide unions as `Branch`."""
    return _Defaults(schema, MAX_NODES, branches=branches).datum(kind, value)


class _Defaults:
    """Checks and expands defaults. Those of left-out fields can multiply without end, so all steps are counted."""

    def __init__(self, schema: Schema, steps: int, *, branches: bool = True) -> None:
        self._schema, self._branches, self._steps = schema, branches, steps
        self.path = "$"

    def _step(self, depth: int) -> None:
        self._steps -= 1
        if self._steps < 0 or depth > MAX_LEVELS:
            raise SchemaError(
                self.path,
                f"the defaults, with those of fields that they leave out, have more than {MAX_NODES} values or {MAX_LEVELS} levels",
            )

    def problem(self, kind: Type, value: Any, path: str, depth: int = 0) -> tuple[str, str] | None:
        """(path, what is wrong) of a default that does not fit."""
        self._step(depth)
        kind = self._schema.resolve(kind)
        if kind.kind == "union":
            return self._problem_of_union(kind, value, path, depth)
        if (allowed := _misfit(kind, value)) is not None:
            return (
                path,
                f"{json_type(value)} is no default for {kind.name or kind.kind}, {allowed} is allowed",
            )
        if kind.kind == "array" and kind.items is not None:
            items = kind.items
            return _first(
                self.problem(items, item, f"{path}[{number}]", depth + 1)
                for number, item in enumerate(value)
            )
        if kind.kind == "map" and kind.items is not None:
            items = kind.items
            return _first(
                self.problem(items, item, f"{path}.{key[:40]}", depth + 1)
                for key, item in value.items()
            )
        if kind.kind == "record":
            for each in kind.fields:
                if each.name in value:
                    if (
                        problem := self.problem(
                            each.type, value[each.name], f"{path}.{each.name}", depth + 1
                        )
                    ) is not None:
                        return problem
                elif each.default is NO_DEFAULT:
                    return (
                        path,
                        f"the default lacks field {each.name!r}, which has no default of its own",
                    )
        return None

    def _problem_of_union(
        self, kind: Type, value: Any, path: str, depth: int
    ) -> tuple[str, str] | None:
        problems = []
        for branch in kind.branches:
            if (problem := self.problem(branch, value, path, depth + 1)) is None:
                return None
            problems.append(problem)
        if len(problems) == 1 or any(problem[0] != path for problem in problems):
            return max(
                problems, key=lambda problem: len(problem[0])
            )  # the branch that came furthest
        allowed = ", ".join(
            self._schema.resolve(branch).name or branch.kind for branch in kind.branches
        )
        return path, f"{json_type(value)} is no default of a union of {allowed or 'nothing'}"

    def datum(self, kind: Type, value: Any, depth: int = 0) -> Any:
        """The datum of a default that fits."""
        self._step(depth)
        kind = self._schema.resolve(kind)
        if kind.kind == "union":
            number = next(
                number
                for number, branch in enumerate(kind.branches)
                if self.problem(branch, value, "$", depth + 1) is None
            )
            inner = self.datum(kind.branches[number], value, depth + 1)
            return Branch(number, inner) if self._branches and is_wide(kind) else inner
        if kind.kind == "array":
            assert kind.items is not None
            return [self.datum(kind.items, item, depth + 1) for item in value]
        if kind.kind == "map":
            assert kind.items is not None
            return {key: self.datum(kind.items, item, depth + 1) for key, item in value.items()}
        if kind.kind == "record":
            return {
                each.name: self.datum(each.type, value.get(each.name, each.default), depth + 1)
                for each in kind.fields
            }
        if kind.kind in ("bytes", "fixed"):
            return self._from_bytes(kind, value.encode("latin-1"))
        return float(value) if kind.kind in ("float", "double") else value

    def _from_bytes(self, kind: Type, raw: bytes) -> Any:
        try:
            return from_raw(kind, raw)
        except ValueError as error:
            raise SchemaError(self.path, f"the default is no {kind.logical}: {error}") from error


def _first(problems: Iterable[tuple[str, str] | None]) -> tuple[str, str] | None:
    return next((problem for problem in problems if problem is not None), None)


def _misfit(kind: Type, value: Any) -> str | None:
    """What is allowed, when the value itself (not what is in it) does not fit."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    match kind.kind:
        case "null":
            return None if value is None else "null"
        case "boolean":
            return None if isinstance(value, bool) else "true or false"
        case "int" | "long":
            low, high = RANGES[kind.kind]
            return (
                None if whole and low <= value <= high else f"a whole number from {low} to {high}"
            )
        case "float" | "double":
            limit = _FLOATS[kind.kind]
            fits = (
                (whole or isinstance(value, float))
                and -limit <= value <= limit
                and (whole or math.isfinite(value))
            )
            return None if fits else f"a number in the range of {kind.kind}"
        case "string":
            return None if isinstance(value, str) else "text"
        case "bytes" | "fixed":
            fits = (
                isinstance(value, str)
                and (kind.kind == "bytes" or len(value) == kind.size)
                and all(char < "\u0100" for char in value)
            )
            of_size = f" for {kind.size} bytes" if kind.kind == "fixed" else ""
            return None if fits else f"text of code points below 256{of_size}"
        case "enum":
            return (
                None
                if isinstance(value, str) and value in kind.symbols
                else f"one of {', '.join(kind.symbols[:20])}"
            )
        case "array":
            return None if isinstance(value, list) else "an array"
        case _:
            return None if isinstance(value, dict) else "an object"


def json_type(value: Any) -> str:
    """What a JSON value is."""
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
