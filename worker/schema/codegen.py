"""Compiles generated code. This is the only place of the project that calls exec.

What is generated is made of names that this project chose itself (`r.f3`, `V`, `n2`). Nothing of a
schema or a config is ever pasted into it except by `repr`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

_BUILTINS: Final = {
    each.__name__: each for each in (abs, bool, enumerate, float, int, len, round, str, tuple, type)
}


class CodeBuilder:
    """The names and helper functions that generated code sees.

    Attributes:
        names: name -> value. What is bound can be reached by the name that `bind` returns only.
        functions: the code of helper functions.
        opening: a statement that a function over `records` begins with, or "".
    """

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.functions: list[str] = []
        self.opening = ""

    def bind(self, value: Any) -> str:
        """Gives a value a fresh name and returns the name."""
        name = f"n{len(self.names)}"
        self.names[name] = value
        return name

    def define(self, text: str) -> None:
        """Adds the code of a helper function, which this project made of its own names."""
        self.functions.append(text)


class Lines:
    """Lines of generated code at their depth of indentation, and fresh names of locals."""

    def __init__(self, depth: int) -> None:
        self._depth, self._lines, self._locals = depth, list[str](), 0

    def line(self, text: str) -> None:
        """Adds a statement at the present depth."""
        self._lines.append(f"{'    ' * self._depth}{text}\n")

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """What is added inside stands under the statement `head`."""
        self.line(head)
        self._depth += 1
        yield
        self._depth -= 1

    @contextmanager
    def aside(self) -> Iterator[list[str]]:
        """What is added inside, at depth 1, goes to the list that is yielded instead."""
        outer = self._lines, self._depth
        self._lines, self._depth = [], 1
        yield self._lines
        self._lines, self._depth = outer

    def local(self) -> str:
        """A name that no other local has."""
        self._locals += 1
        return f"v{self._locals}"

    @property
    def text(self) -> str:
        return "".join(self._lines)


def compile_function(name: str, text: str, code: CodeBuilder) -> Callable[..., Any]:
    """The function `name` that `text` defines, over the names and helper functions of `code`."""
    names = {"__builtins__": _BUILTINS, **code.names}
    exec("".join((*code.functions, text)), names)  # noqa: S102  # see the module
    function: Callable[..., Any] = names[name]
    return function


_COLUMN: Final = """\
def column(records, get):
    left = []
    for i, r in enumerate(records):
        try: x = get(r.{attribute}, left)
        except wrong: x = left
        if x is not left: r.{attribute} = x
        else:
            x = r.{attribute}
            if {keeps}: pass
            elif {makes}: r.{attribute} = {made}
            else: left.append(i)
    return left
"""


@cache
def compile_column(
    attribute: str, keeps: str, makes: str, made: str
) -> Callable[[Sequence[Any], Callable[[Any, Any], Any]], list[int]]:
    """A function `(records, get) -> indices`. It replaces the attribute of each record by what
    `get` returns for it, if that is not the default it is given; or by `made`, where `makes` holds;
    or keeps it, where `keeps` holds. It returns the indices of the other records.

    Args:
        keeps, makes, made: code of this project, in which `x` is the value.
    """
    code = CodeBuilder()
    code.names["wrong"] = TypeError  # a list or an object cannot be looked up
    text = _COLUMN.format(attribute=attribute, keeps=keeps, makes=makes, made=made)
    return compile_function("column", text, code)
