"""Whether the keys of objects are data (ids, dates, versions), so that the objects are maps.

A record with a field for each of them would reject the next object, whose keys are others. Where
the rules err, a map is the lesser evil: it takes whatever a record would have taken.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final, Protocol

MAP_KEYS: Final = 20  # different keys before objects whose keys are mostly rare are maps
ALIKE_KEYS: Final = 8  # the same where all values are of one kind
WIDE_KEYS: Final = 100  # different keys before objects are maps though no key is rare
ID_KEYS: Final = 5  # different keys that may be ids before they count as such
RARE: Final = 0.2  # share of the objects that a rare key is in
TABLE_ROWS: Final = 10  # objects that all have the same keys before these are columns
USUAL: Final = 0.8  # share of the objects that a column is in

_NUMBER: Final = r"[+-]?\d+(?:[.,]\d+)*"
_DATE: Final = r"\d{4}-\d{2}(?:-\d{2}(?:[T ].*)?)?|\d{4}/\d{2}(?:/\d{2})?|\d{4}-?[QWqw]\d{1,2}"
_TIME: Final = r"\d{1,2}:\d{2}(?::\d{2})?"
_VERSION: Final = r"[vV]?\d+(?:\.(?:\d+|[xX*]))+(?:[-+._ ]?[A-Za-z][\w.+-]*)?"
_UUID: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_NEVER_A_NAME: Final = re.compile(
    rf"{_NUMBER}(?:-{_NUMBER})?|{_DATE}|{_TIME}|{_VERSION}(?:-{_VERSION})?|{_UUID}"
)
"""Numbers, dates, times, versions and uuids, and ranges of numbers and versions."""
_MAYBE_AN_ID: Final = re.compile(
    r"[A-Za-z]{1,12}[_:#-]?\d{2,}"  # Q42, tt0111161, user_123
    r"|(?=\S*\d)[0-9a-fA-F]{8,}"  # digits of a hash
    r"|(?:[A-Za-z]{1,8}[_-])?(?=\w*\d)(?=\w*[A-Za-z])[A-Za-z0-9]{14,}"  # cus_NffrFeUfNV2Hib
    r"|\S+@\S+\.\S+|\w+://.*|[./]\S*"  # addresses and paths
)


class Values(Protocol):
    """What was seen under one key, or of the objects themselves."""

    @property
    def count(self) -> int:
        """How many values there are, nulls too."""

    @property
    def objects(self) -> int:
        """How many of them are objects."""

    @property
    def kinds(self) -> Collection[str]:
        """The kinds of the values besides null; see `json_kind`."""

    @property
    def shapes(self) -> Mapping[str, Values]:
        """What was seen under the keys of objects, also of those in arrays."""

    @property
    def is_map(self) -> bool:
        """Whether those objects are maps."""


def is_map(objects: int, fields: Mapping[str, Values]) -> bool:
    """Whether the keys of objects are data.

    Args:
        objects: how many objects there are.
        fields: key -> what was seen under it.
    """
    if _share(_NEVER_A_NAME.fullmatch(key) for key in fields) > 0.5:
        return True
    if len(fields) >= MAP_KEYS and _rare(fields, RARE * objects) >= 0.9:
        return True
    if len(fields) >= ALIKE_KEYS and _are_alike(objects, fields):
        return True
    names = len(fields) < ID_KEYS or _are_columns(objects, fields)
    return not names and _share(_looks_like_an_id(key) for key in fields) > 0.5


def _share(found: Iterable[object]) -> float:
    """The share of what is true."""
    every = list(map(bool, found))
    return sum(every) / max(len(every), 1)


def _rare(fields: Mapping[str, Values], most: float) -> float:
    """The share of the keys that at most so many objects have."""
    return _share(each.count <= most for each in fields.values())


def _are_columns(objects: int, fields: Mapping[str, Values]) -> bool:
    """Whether many objects have the same keys."""
    usual = _share(each.count >= USUAL * objects for each in fields.values())
    return objects >= TABLE_ROWS and usual >= USUAL


def _looks_like_an_id(key: str) -> bool:
    return any(each.fullmatch(key) for each in (_NEVER_A_NAME, _MAYBE_AN_ID))


def _are_alike(objects: int, fields: Mapping[str, Values]) -> bool:
    """Whether all values could be the values of one map, of which the keys say nothing else."""
    if _are_of_one_shape(fields.values()):
        return True
    if len({kind for each in fields.values() for kind in each.kinds}) != 1:
        return False
    if objects > 1 and _rare(fields, max(RARE * objects, 1)) >= 0.75:
        return True
    return len(fields) >= WIDE_KEYS and not _are_columns(objects, fields)


def _are_of_one_shape(values: Collection[Values]) -> bool:
    """Whether all values are objects, or arrays of them, and nearly all are maps or all have a key
    in common."""
    if not all(each.shapes and set(each.kinds) <= {"object", "array"} for each in values):
        return False
    if _share(each.is_map for each in values) >= USUAL:
        return True
    return bool(set.intersection(*(set(each.shapes) for each in values)))
