"""JMESPath (jmespath.org) with the plain case recognised.

A plain path only descends into objects: `a.b."c.d"` is the tuple of keys ("a", "b", "c.d"). The
typed form of a page can hold it, so no second decode is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from worker.core.errors import ConfigError
from worker.core.model import MISSING


def compile_path(path: str) -> Any:
    """The compiled expression. Raises ConfigError with the place where the path breaks."""
    try:
        return jmespath.compile(path)
    except JMESPathError as error:
        raise ConfigError(
            f"{path!r} is no JMESPath: {str(error).splitlines()[0]}",
            remedy="""keys with dots or dashes are quoted: '"a-b".c'""",
        ) from error


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
    both.
    """
    keys = plain_keys(path)
    if keys is not None:
        return lambda document: walk(document, keys)
    compiled = compile_path(path)
    return compiled.search  # type: ignore[no-any-return]
