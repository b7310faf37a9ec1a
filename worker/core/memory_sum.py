"""A sum over what a partition remembers, which each commit carries. Pure.

A commit changes boundary keys and tokens by difference, so its digest alone says nothing of the
others. The sum covers all of them, and is changed by difference too: it costs as much as what
changes, however much is remembered. It is the additive set hash of Bellare and Micciancio ("A New
Paradigm for Collision-free Hashing", 1997) with 16-byte hashes: it finds damage, not an adversary,
who could write the digests too.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from worker.core.found import Found
from worker.core.model import BoundaryKey

_SPACE: Final = 1 << 128
_BYTES: Final = 16


def of_boundary(keys: Iterable[BoundaryKey]) -> int:
    """The sum over boundary keys, each of which counts once."""
    return _sum(b"%s:%b" % (repr(value).encode(), key) for value, key in keys)


def of_tokens(tokens: Iterable[bytes]) -> int:
    """The sum over tokens, each of which counts once."""
    return _sum(b"t" + token for token in tokens)


def of_found(found: Iterable[Found]) -> int:
    """The sum over values of lists, each of which counts once."""
    return _sum(b"f" + each.covered() for each in found)


def _sum(items: Iterable[bytes]) -> int:
    hashes = (blake2b(item, digest_size=_BYTES).digest() for item in items)
    return sum(map(int.from_bytes, hashes)) % _SPACE


def as_text(number: int) -> str:
    """A sum, or a difference of sums, as 32 hex digits."""
    return f"{number % _SPACE:032x}"


def from_text(text: str) -> int:
    """The sum that `as_text` wrote. Raises ValueError."""
    return int(text, 16)
