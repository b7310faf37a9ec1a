"""The typed shape of a page: only the paths that are needed, so that one decode yields them all.

`{"data": {"items": [...]}, "meta": {"next": ...}}` with records `data.items` and a fact `meta.next`
becomes two small msgspec structs; whatever else the page holds is skipped without building objects.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec

from worker.core.jsonpath import walk
from worker.core.model import MISSING
from worker.schema.values import plain_number

Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Envelope:
    """How a page is decoded, and how what it holds is read.

    Attributes:
        decode: the page of a body. Raises msgspec.ValidationError where it has another shape.
        records: the list of records of a page; None for null, MISSING where the path is absent.
        facts: the value of a page at each path, MISSING where it is absent.
    """

    decode: Callable[[Any], Any]
    records: Callable[[Any], Any]
    facts: Mapping[str, Callable[[Any], Any]]

    def facts_of(self, page: Any) -> dict[str, Any]:
        """All facts of a page."""
        return {path: plain_number(read(page)) for path, read in self.facts.items()}


def build_envelope(
    records: Keys,
    facts: Mapping[str, Keys],
    record_list: Any,
    decoder: Callable[[Any], Callable[[Any], Any]],
) -> Envelope | None:
    """The envelope of pages with records and facts at these keys.

    None when the records are within a fact, or when a fact is the whole page: no typed shape can
    hold both. None also for a key that no typed shape can have: with a quote, a backslash or a
    control character. Without keys of the records the page is the list of them, and has no facts.

    Args:
        record_list: the type of the list of records.
        decoder: makes the decoder of a type that has it (see `Plan.decoder`).
    """
    if not records:
        return Envelope(
            decoder(record_list), lambda page: page, {path: lambda page: MISSING for path in facts}
        )
    if any(_begins_with(records, keys) for keys in facts.values()):
        return None
    if not all(map(_is_name, (*records, *chain.from_iterable(facts.values())))):
        return None
    leaves = {**dict.fromkeys(_outermost(facts.values()), Any), records: record_list | None}
    return Envelope(
        decoder(_struct(leaves, "Page")),
        _getter(leaves, records),
        {path: _getter(leaves, keys) for path, keys in facts.items()},
    )


def build_whole(records: Keys) -> Callable[[Any], Any] | None:
    """Reads the last value at these keys of a body, as it is written; MISSING for none. None for
    keys that no typed shape can have."""
    if not all(map(_is_name, records)):
        return None
    leaves = {records: msgspec.Raw}
    decode = msgspec.json.Decoder(_struct(leaves, "Whole")).decode
    read = _getter(leaves, records)
    return lambda body: read(decode(body))


def _is_name(key: str) -> bool:
    """Whether a field of a msgspec struct can have this name."""
    return not any(each in '"\\' or each < " " for each in key)


def _begins_with(keys: Keys, start: Keys) -> bool:
    return keys[: len(start)] == start


def _outermost(paths: Collection[Keys]) -> set[Keys]:
    """The paths that are not below another one, whose value holds theirs."""

    def below_another(keys: Keys) -> bool:
        return any(_begins_with(keys, other) for other in paths if other != keys)

    return {keys for keys in paths if not below_another(keys)}


def _children(leaves: Collection[Keys], parent: Keys) -> list[str]:
    """The names below a place, in the order of the fields in its struct."""
    depth = len(parent)
    below = (keys for keys in leaves if len(keys) > depth and _begins_with(keys, parent))
    return sorted({keys[depth] for keys in below})


def _struct(leaves: Mapping[Keys, Any], name: str, place: Keys = ()) -> Any:
    """The msgspec struct at a place. Fields are numbered, as JSON names may be no identifiers."""
    names, fields = {}, []
    for number, key in enumerate(_children(leaves, place)):
        at = (*place, key)
        inner = leaves[at] if at in leaves else _struct(leaves, f"{name}_{number}", at) | None
        names[f"f{number}"] = key
        fields.append((f"f{number}", inner, msgspec.field(default=MISSING)))
    return msgspec.defstruct(name, fields, rename=names)


def _getter(leaves: Collection[Keys], keys: Keys) -> Callable[[Any], Any]:
    """Reads the value at `keys`: through structs to a leaf, and then through the leaf's value."""
    depth = min(len(leaf) for leaf in leaves if _begins_with(keys, leaf))
    attributes = [
        f"f{_children(leaves, keys[:at]).index(key)}" for at, key in enumerate(keys[:depth])
    ]
    rest = keys[depth:]

    def read(page: Any) -> Any:
        for attribute in attributes:
            if page is None or page is MISSING:
                return MISSING
            page = getattr(page, attribute)
        return walk(page, rest)

    return read
