"""The typed shape of a page: only the paths that somebody asked for, so that one decode yields records and facts.

`{"data": {"items": [...]}, "meta": {"next": ...}}` with records `data.items` and a fact `meta.next` becomes two small
msgspec structs; whatever else the page holds is skipped without building objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from worker.core.model import MISSING

Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Envelope:
    """`type` is what a page decodes to; `records(page)` is a list, None (JSON null) or MISSING; `facts[path](page)` a value or MISSING."""

    type: Any
    records: Callable[[Any], Any]
    facts: dict[str, Callable[[Any], Any]]


def build_envelope(records: Keys, facts: dict[str, Keys], record_list: Any) -> Envelope | None:
    """The envelope, or None when the paths overlap so that no typed shape can hold them."""
    if not records:
        return Envelope(
            record_list, lambda page: page, {path: lambda page: MISSING for path in facts}
        )
    if any(_prefix(keys, records) or not keys for keys in facts.values()):
        return None
    leaves: dict[Keys, Any] = {records: record_list | None}
    for keys in facts.values():
        if not any(_prefix(other, keys) and other != keys for other in facts.values()):
            leaves[keys] = Any
    shape = _struct(leaves, "Page")
    getters = {}
    for path, keys in facts.items():
        depth = min(len(leaf) for leaf in leaves if _prefix(leaf, keys))
        getters[path] = _getter(leaves, keys[:depth], keys[depth:])
    return Envelope(shape, _getter(leaves, records, ()), getters)


def _prefix(short: Keys, long: Keys) -> bool:
    return long[: len(short)] == short


def _children(leaves: Iterable[Keys], prefix: Keys) -> list[str]:
    return sorted(
        {keys[len(prefix)] for keys in leaves if _prefix(prefix, keys) and len(keys) > len(prefix)}
    )


def _struct(leaves: dict[Keys, Any], name: str, prefix: Keys = ()) -> Any:
    names, fields = {}, []
    for number, key in enumerate(_children(leaves, prefix)):
        at = (*prefix, key)
        inner = leaves[at] if at in leaves else _struct(leaves, f"{name}_{number}", at) | None
        names[f"f{number}"] = key
        fields.append((f"f{number}", inner, msgspec.field(default=MISSING)))
    return msgspec.defstruct(name, fields, rename=names)


def _getter(leaves: dict[Keys, Any], keys: Keys, rest: Keys) -> Callable[[Any], Any]:
    attributes = [
        f"f{_children(leaves, keys[:depth]).index(key)}" for depth, key in enumerate(keys)
    ]

    def read(page: Any) -> Any:
        for attribute in attributes:
            if page is None or page is MISSING:
                return MISSING
            page = getattr(page, attribute)
        for key in rest:
            if not isinstance(page, dict) or key not in page:
                return MISSING
            page = page[key]
        return page

    return read
