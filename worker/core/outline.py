"""What a JSON document has where, for people who look for a path into it. Pure.

Only names and sizes are told, and no values: those may be anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

DEEPEST: Final = 5
SHOWN: Final = 12

_PLAIN: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def path_text(keys: tuple[str, ...]) -> str:
    """Keys as a JMESPath: those that are no words are quoted."""
    return ".".join(key if _PLAIN.fullmatch(key) else _quoted(key) for key in keys)


def values_in(document: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(keys, value) of everything in the objects of a document, what is nearer to the root first.

    Lists are not entered: their items are records.
    """
    level = [(keys, document)]
    for _ in range(DEEPEST):
        below = []
        for at, value in level:
            for key, inner in value.items() if isinstance(value, dict) else ():
                yield (*at, key), inner
                below.append(((*at, key), inner))
        level = below


def arrays_in(document: Any) -> list[tuple[str, int]]:
    """(path, length) of the arrays in a document: those of objects first, then the longer ones."""
    found = [
        (bool(value) and isinstance(value[0], dict), path_text(keys), len(value))
        for keys, value in values_in(document)
        if isinstance(value, list)
    ]
    return [(path, size) for _, path, size in sorted(found, key=lambda each: (-each[0], -each[2]))]


def paths_in(document: Any) -> list[str]:
    """The paths of the values in a document that are no objects."""
    return [path_text(keys) for keys, value in values_in(document) if not isinstance(value, dict)]


def listing(names: list[str]) -> str:
    """Names for people; long lists are cut."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _quoted(key: str) -> str:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
