"""The identities of the records of a page: by their keys, or by the bytes that they came as.

They are computed one by one where few are asked for, and in a run of their own for a whole page.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from worker.core.identities import Identities, digest16
from worker.core.model import MISSING
from worker.formats.runs import Runs

_encode: Final = msgspec.json.encode


def by_content(count: int, runs: Runs, rejected: Mapping[int, bytes]) -> Identities:
    """Identities by the bytes of each record.

    Args:
        runs: finds them.
        rejected: those of the rejects, by place; they have no others.
    """

    def one(place: int) -> bytes:
        raw = rejected.get(place)
        return digest16(runs.find(place) if raw is None else raw)

    def all_of_them() -> list[bytes]:
        raws = runs.all(count)
        for place, raw in rejected.items():
            raws[place] = raw
        return list(map(digest16, raws))

    return Identities(count, one, each=all_of_them)


def by_key(keys: Sequence[Any], parts: int, contents: Identities) -> tuple[Identities, int]:
    """Identities by the key of each record, and how many records have none.

    A record whose key parts are all absent or null is known by its bytes.

    Args:
        keys: the value of each key; a tuple where it has several parts.
        contents: identities by the bytes.
    """
    different = _different(keys)
    whole = different is not None and _are_whole(different, parts)

    def one(place: int) -> bytes:
        values = keys[place] if parts > 1 else (keys[place],)
        if MISSING in values:
            values = tuple(None if value is MISSING else value for value in values)
        return digest16(_encode(values)) if values.count(None) < parts else contents[place]

    def all_of_them() -> list[bytes]:
        if not whole:
            return list(map(one, range(len(keys))))
        return list(map(digest16, map(_encode, keys if parts > 1 else zip(keys, strict=True))))

    # absent and null parts of a key are the same, which comparing them does not say
    comparable = different is not None and (whole or parts == 1)
    distinct = len(different) if different is not None and comparable else None
    return Identities(len(keys), one, distinct, each=all_of_them), (
        0 if whole else _keyless(keys, parts)
    )


def _different(keys: Sequence[Any]) -> set[Any] | None:
    """The different keys of a page; None where they are not quick to compare: a key, or a part of
    one, is an object or an array.
    """
    try:
        return set(keys)
    except TypeError:
        return None


def _are_whole(keys: set[Any], parts: int) -> bool:
    """Whether no part of any key is absent or null."""
    if parts == 1:
        return keys.isdisjoint((None, MISSING))
    return not any(None in key or MISSING in key for key in keys)


def _keyless(keys: Sequence[Any], parts: int) -> int:
    """How many records have a key of which no part is there."""
    absent = (None, MISSING) if parts == 1 else itertools.product((None, MISSING), repeat=parts)
    return sum(map(keys.count, absent))
