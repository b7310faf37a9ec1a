"""`python: package.module:function`: `fn(record: dict) -> dict | None | list[dict]`, for what
expressions cannot say.

The record has the fields of this step, with the values between stages (times are whole numbers in
the schema's unit); with `values: native` dates and times are datetime objects, besides those in
nanoseconds, which a datetime would cut.
What comes back is checked field by field: the fields are those of the output schema, besides those
that came in. None drops the record, a list makes several of it; one bad item rejects the record
whole, so that a replay of its dead letter brings all of them once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from traceback import extract_tb
from typing import Annotated, Any, Literal

from pydantic import Field

from worker.config.chosen import ShortForm
from worker.config.model import Model
from worker.core.errors import ConfigError
from worker.core.model import FieldError
from worker.core.ports import InvalidRecord
from worker.schema.model import Schema, Type, is_nullable
from worker.transforms import natives
from worker.transforms.kinds import kind_of
from worker.transforms.program import Column, Program

Function = Callable[[dict[str, Any]], Any]


class PythonConfig(Model):
    """A function of yours."""

    function: str = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="package.module:function, fn(record: dict) -> dict | None | list[dict]",
    )
    values: Literal["plain", "native"] = Field(
        "plain",
        description="native: dates and times are datetime objects; "
        "times in nanoseconds stay numbers",
    )


Config = Annotated[
    PythonConfig,
    ShortForm("function"),
    Field(description="package.module:function, or {function, values}"),
]


def apply(program: Program, config: Config) -> None:
    """Raises ConfigError for what cannot be imported or called."""
    function = load(config.function, program.step)
    before = {
        name: (column.type, program.schema)
        for name, column in program.columns.items()
        if column.type is not None
    }
    after: dict[str, tuple[Type, Schema]] = before | {
        each.name: (each.type, program.output) for each in program.output.root.fields
    }
    into = {
        name: natives.converter(kind, schema, native=config.values == "native")
        for name, (kind, schema) in before.items()
    }
    checks = {name: natives.checker(kind, schema) for name, (kind, schema) in after.items()}
    columns = {
        name: Column("", kind_of(kind, schema), is_nullable(kind), kind)
        for name, (kind, schema) in after.items()
    }
    for name, column in program.columns.items():
        if name not in columns:
            columns[name] = replace(column, made_by="")
            checks[name] = natives.kind_checker(column.kind, nullable=column.nullable)
    program.expand(_caller(function, into, checks), columns)


def load(path: str, where: str) -> Function:
    """The function at `module:name`."""
    module, _, name = path.partition(":")
    try:
        found = import_module(module)
    except (Exception, SystemExit) as error:  # the border to code that is not ours
        missing = (
            isinstance(error, ModuleNotFoundError)
            and error.name is not None
            and f"{module}.".startswith(f"{error.name}.")
        )
        remedy = (
            "write package.module:function; the package must be installed or on PYTHONPATH"
            if missing
            else "mend the module; python -c 'import ...' shows it too"
        )
        raise ConfigError(
            f"{path!r} cannot be imported: {'' if missing else _place(error)}{_said(error)}",
            where=where,
            remedy=remedy,
        ) from error
    function = getattr(found, name, None)
    if not callable(function):
        what = "no function" if hasattr(found, name) else f"not there: {module} has no {name}"
        raise ConfigError(
            f"{path!r} is {what}", where=where, remedy="name a function that takes a dict"
        )
    if unfit := _unfit(function):
        raise ConfigError(
            f"{path!r} {unfit}",
            where=where,
            remedy="write it as fn(record: dict) -> dict | None | list[dict]",
        )
    return function  # type: ignore[no-any-return]


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"


def _place(error: BaseException) -> str:
    """`file:line: ` where it went wrong, below the import machinery."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: "
    frames = [
        (frame.filename, frame.lineno)
        for frame in extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen")
    ]
    return "{}:{}: ".format(*frames[-1])


def _unfit(function: Function) -> str:
    """Why a call of it cannot give a record, as far as can be seen without one."""
    for each in (function, getattr(function, "__call__", None)):  # noqa: B004
        if inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each):
            return "is async; a transform is called, never awaited"
        if inspect.isgeneratorfunction(each):
            return "is a generator; a transform returns what becomes of the record"
    try:
        inspect.signature(function).bind({})
    except TypeError:
        return "cannot be called with one positional argument, the record"
    except ValueError:  # what is written in C may have no signature
        return ""
    return ""


def _caller(
    function: Function,
    into: Mapping[str, Callable[[Any], Any]],
    checks: Mapping[str, Callable[[Any, str], Any]],
) -> Callable[..., list[dict[str, Any]]]:
    def call(record: dict[str, Any]) -> list[dict[str, Any]]:
        given = {
            name: into[name](value) if name in into else value for name, value in record.items()
        }
        try:
            back = function(given)
        except (
            BaseException
        ) as error:  # the border to code that is not ours: its sys.exit() ends no pipeline
            raise _bad(
                "python_error",
                f"{type(error).__name__} was raised",
                "a dict, None or a list of dicts",
            ) from error
        if back is None:
            return []
        return [_checked(each, checks) for each in (back if isinstance(back, list) else [back])]

    return call


def _checked(record: Any, checks: Mapping[str, Callable[[Any, str], Any]]) -> dict[str, Any]:
    """What came back, field by field.

    Methods of what it holds may be the function's own, and raise.
    """
    if not isinstance(record, dict):
        raise _bad(
            "python_result",
            f"{type(record).__name__} was returned",
            "a dict, None or a list of dicts",
        )
    try:
        unknown = record.keys() - checks.keys()
        if unknown:
            raise _bad(
                "python_result",
                f"unknown fields {', '.join(sorted(map(str, unknown))[:5])}",
                "the fields of the output schema",
            )
        return {name: check(record.get(name), f"$.{name}") for name, check in checks.items()}
    except InvalidRecord:
        raise
    except RecursionError:
        raise _bad(
            "python_result",
            "a record that holds itself, or is nested too deeply",
            "a record of the output schema",
        ) from None
    except Exception as error:
        raise _bad(
            "python_result",
            f"{type(error).__name__} was raised by the {type(record).__name__} that was returned",
            "plain dicts, lists and values",
        ) from error


def _bad(code: str, found: str, allowed: str) -> InvalidRecord:
    return InvalidRecord(code, (FieldError("$", found, allowed),), stage="transform")
