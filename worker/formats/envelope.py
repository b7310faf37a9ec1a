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
    leaves = build_leaves(
        {**dict.fromkeys(_outermost(facts.values()), Any), records: record_list | None}
    )
    if leaves is None:
        return None
    return Envelope(
        decoder(leaves.type),
        leaves.getter(records),
        {path: leaves.getter(keys) for path, keys in facts.items()},
    )


@dataclass(frozen=True, slots=True)
class Leaves:
    """A typed shape of a document that has some of its values only.

    Attributes:
        type: the msgspec struct.
        kinds: the type of each value, by its keys.
    """

    type: Any
    kinds: Mapping[Keys, Any]

    def getter(self, keys: Keys) -> Callable[[Any], Any]:
        """Reads the value at keys of a decoded document, which are those of a leaf or below it;
        MISSING for none."""
        return _getter(self.kinds, keys)


def build_leaves(kinds: Mapping[Keys, Any]) -> Leaves | None:
    """The typed shape with values of these types, none of which lies within another; None for a
    key that no typed shape can have."""
    if not all(map(_is_name, chain.from_iterable(kinds))):
        return None
    return Leaves(_struct(kinds, "Page"), kinds)


def build_facts(facts: Mapping[str, Keys]) -> Callable[[Any], dict[str, Any]] | None:
    """Reads the facts of a body; None for keys that no typed shape can have."""
    leaves = build_leaves(dict.fromkeys(_outermost(facts.values()), Any))
    if leaves is None:
        return None
    decode = msgspec.json.Decoder(leaves.type).decode
    getters = {path: leaves.getter(keys) for path, keys in facts.items()}

    def read(body: Any) -> dict[str, Any]:
        page = decode(body)
        return {path: get(page) for path, get in getters.items()}

    return read


def build_whole(records: Keys) -> Callable[[Any], Any] | None:
    """Reads the last value at these keys of a body, as it is written; MISSING for none. None for
    keys that no typed shape can have."""
    leaves = build_leaves({records: msgspec.Raw})
    if leaves is None:
        return None
    decode, read = msgspec.json.Decoder(leaves.type).decode, leaves.getter(records)
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
