"""JMESPath (jmespath.org) with the plain case recognised.

A plain path only descends into objects: `a.b."c.d"` is the tuple of keys ("a", "b", "c.d"). The
typed form of a page can hold it, so no second decode is needed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from worker.core.errors import ConfigError
from worker.core.model import MISSING


def compile_path(path: str) -> Any:
    """The compiled expression. Raises ConfigError with the place where the path breaks."""
    try:
        compiled = jmespath.compile(path)
    except JMESPathError as error:
        raise ConfigError(
            f"{path!r} is no JMESPath: {str(error).splitlines()[0]}",
            remedy="""keys with dots or dashes are quoted: '"a-b".c'""",
        ) from error
    for name, arguments in _calls(compiled.parsed):
        _check_call(path, name, arguments)
    return compiled


def _calls(node: Any) -> Iterator[tuple[str, int]]:
    """(name, number of arguments) of every function that an expression calls."""
    if node["type"] == "function_expression":
        yield node["value"], len(node["children"])
    for child in node["children"]:
        if isinstance(child, dict):  # those of a slice are numbers
            yield from _calls(child)


def _check_call(path: str, name: str, arguments: int) -> None:
    """Raises ConfigError for a call that no document can satisfy."""
    known = Functions.FUNCTION_TABLE
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}()? " if near else ""
        raise ConfigError(
            f"{path!r} calls {name}(), which is no function of JMESPath",
            remedy=f"{hint}there are {', '.join(sorted(known))}",
        )
    signature = known[name]["signature"]
    variadic = bool(signature) and bool(signature[-1].get("variadic"))
    if arguments < len(signature) or (arguments > len(signature) and not variadic):
        raise ConfigError(
            f"{path!r} calls {name}() with {arguments} arguments",
            remedy=f"it takes {'at least ' if variadic else ''}{len(signature)}",
        )


def plain_keys(path: str) -> tuple[str, ...] | None:
    """The keys of a plain path (`@` is the empty tuple); None for any other path."""
    return _keys(compile_path(path).parsed)


def _keys(node: dict[str, Any]) -> tuple[str, ...] | None:
    if node["type"] == "current":
        return ()
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] == "subexpression":
        parts = [_keys(child) for child in node["children"]]
        if all(part is not None for part in parts):
            return tuple(key for part in parts if part for key in part)
    return None


def names_in(path: str) -> frozenset[str] | None:
    """The names of all keys that a path may go through; None where it may go through any."""
    names, nodes = set(), [compile_path(path).parsed]
    while nodes:
        node = nodes.pop()
        if node["type"] == "value_projection" or node.get("value") == "values":
            return None
        if node["type"] == "field":
            names.add(node["value"])
        nodes += [each for each in node["children"] if isinstance(each, dict)]
    return frozenset(names)


def walk(document: Any, keys: Sequence[str]) -> Any:
    """The value under `keys`; MISSING where a key is absent, or a value on the way is no object."""
    for key in keys:
        if not isinstance(document, dict) or key not in document:
            return MISSING
        document = document[key]
    return document


def reader(path: str) -> Callable[[Any], Any]:
    """A function from a document to the value at the path.

    A plain path distinguishes null (None) from absent (MISSING); any other path gives None for
    both, and None where a function stands over a value of a type that it does not take.
    """
    keys = plain_keys(path)
    if keys is not None:
        return lambda document: walk(document, keys)
    compiled = compile_path(path)

    def search(document: Any) -> Any:
        try:
            return compiled.search(document)
        except JMESPathError:  # a function over a value that it does not take: there is no value
            return None

    return search
