"""`python: package.module:function`: `fn(record: dict) -> dict | None | list[dict]`, for what
expressions cannot say. `fn(record, context)` is told where the record came from.

The record has the fields of this step, with the values between stages (times are whole numbers in
the schema's unit); with `values: native` dates and times are datetime objects, besides those in
nanoseconds, which a datetime would cut.
What comes back is checked field by field: the fields are those of the output schema, besides those
that came in. What came in and is no field of the output may be left out; a later step that needs it
then rejects the record. None drops the record, a list makes several of it; one bad item rejects the
record whole, so that a replay of its dead letter brings all of them once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from importlib import import_module
from traceback import extract_tb
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from worker.config.chosen import ShortForm
from worker.config.model import Model
from worker.core.errors import ConfigError
from worker.core.model import FieldError
from worker.core.ports import InvalidRecord
from worker.schema.model import Schema, Type, is_nullable
from worker.transforms import natives
from worker.transforms.context import Context
from worker.transforms.kinds import kind_of
from worker.transforms.program import Column, Program

Function = Callable[..., Any]
SHAPE: Final = "fn(record: dict) -> dict | None | list[dict], or fn(record, context)"


class PythonConfig(Model):
    """A function of yours."""

    function: str = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description=f"package.module:function, {SHAPE}",
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
    columns = _columns(program, after)
    checks |= {
        name: natives.kind_checker(column.kind, nullable=column.nullable)
        for name, column in columns.items()
        if name not in after
    }
    optional = _optional(program, columns)
    program.expand(
        _caller(function, f"{program.step} {config.function}", into, checks, optional),
        {name: replace(each, optional=name in optional) for name, each in columns.items()},
        told=takes_context(function),
    )


def _columns(program: Program, typed: Mapping[str, tuple[Type, Schema]]) -> dict[str, Column]:
    """What a record may have behind the step: fields of a type, and what steps have made."""
    columns = {
        name: Column("", kind_of(kind, schema), is_nullable(kind), kind)
        for name, (kind, schema) in typed.items()
    }
    made = {name: each for name, each in program.columns.items() if name not in columns}
    return columns | {name: replace(each, made_by="", local=False) for name, each in made.items()}


def _optional(program: Program, columns: Mapping[str, Column]) -> set[str]:
    """Fields that the function may leave out: the output lacks them, and they are never null."""
    wanted = {each.name for each in program.output.root.fields}
    return {name for name, column in columns.items() if name not in wanted and not column.nullable}


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
            remedy=f"write it as {SHAPE}",
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
        told = {"context": None} if takes_context(function) else {}
        inspect.signature(function).bind({}, **told)
    except TypeError:
        return "cannot be called with one positional argument, the record"
    except ValueError:  # what is written in C may have no signature
        return ""
    return ""


def takes_context(function: Function) -> bool:
    """Whether a function has a parameter `context`."""
    try:
        return "context" in inspect.signature(function).parameters
    except ValueError:  # what is written in C may have no signature
        return False


class _Made(dict[str, Any]):
    """A record that a function made, without the fields that it left out."""

    def __missing__(self, name: str) -> Any:
        raise InvalidRecord(
            "python_result",
            (
                FieldError(
                    f"$.{name}", "a field that was left out", "a value: a later step uses it"
                ),
            ),
            stage="transform",
        )

    def given(self, names: Mapping[str, str]) -> dict[str, Any]:
        """Name -> value of those fields that were not left out; `names` has their keys here."""
        return {name: self[key] for name, key in names.items() if key in self}


def _caller(
    function: Function,
    step: str,
    into: Mapping[str, Callable[[Any], Any]],
    checks: Mapping[str, Callable[[Any, str], Any]],
    optional: Collection[str] = (),
) -> Callable[..., list[dict[str, Any]]]:
    # `working_on` is read where the function hangs, see `runtime/hangs.py`
    def call(
        record: dict[str, Any], *context: Context, working_on: str = step
    ) -> list[dict[str, Any]]:
        given = {
            name: into[name](value) if name in into else value for name, value in record.items()
        }
        try:
            back = function(given, context=context[0]) if context else function(given)
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
        made = back if isinstance(back, list) else [back]
        return [_checked(each, checks, optional) for each in made]

    return call


def _checked(
    record: Any,
    checks: Mapping[str, Callable[[Any, str], Any]],
    optional: Collection[str],
) -> dict[str, Any]:
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
        return _Made(
            (name, check(record.get(name), f"$.{name}"))
            for name, check in checks.items()
            if name in record or name not in optional
        )
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
