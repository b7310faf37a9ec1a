"""Identities of the records of a page, which are computed where they are needed. Pure.

Most records are never compared with another one: what a pass asks for lies behind what earlier
passes have brought. A hash for each would cost a tenth of a whole run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, overload

IDENTITY_BYTES = 16


def digest16(data: Any) -> bytes:
    """The 16-byte hash of some bytes."""
    return blake2b(data, digest_size=IDENTITY_BYTES).digest()


class Identities(Sequence[bytes]):
    """The 16-byte identities of the records of a page, in their order.

    Args:
        count: number of records.
        identity: the identity of the record at a place.
        distinct: the least number of different identities that they can be; None where it is not
            known.
        each: computes all of them, several times as quick as one by one; None where nothing does.
    """

    def __init__(
        self,
        count: int,
        identity: Callable[[int], bytes],
        distinct: int | None = None,
        *,
        each: Callable[[], list[bytes]] | None = None,
    ) -> None:
        self._count, self._identity, self._distinct, self._each = count, identity, distinct, each

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> bytes: ...

    @overload
    def __getitem__(self, place: slice) -> list[bytes]: ...

    def __getitem__(self, place: int | slice) -> bytes | list[bytes]:
        if isinstance(place, slice):
            return list(map(self._identity, self._places[place]))
        if not -self._count <= place < self._count:
            raise IndexError(place)
        return self._identity(place % self._count)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._each()) if self._each is not None else map(self._identity, self._places)

    @property
    def _places(self) -> range:
        return range(self._count)

    def may_repeat(self) -> bool:
        """Whether two records may have the same identity; found without computing one."""
        return self._distinct is None or self._distinct < self._count


def may_repeat(identities: Sequence[bytes]) -> bool:
    """Whether two records of a page may have the same identity."""
    if isinstance(identities, Identities):
        return identities.may_repeat()
    return len(set(identities)) < len(identities)
