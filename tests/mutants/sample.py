"""Which mutants a run judges: each is drawn by its own name and the seed.

What else there is plays no part, so that a change of the source draws and drops the mutants of the
changed lines only, and a larger share has all mutants of a smaller one.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from mutants.survivors import Identity

_BITS: Final = 64


def is_drawn(identity: Identity, seed: int, share: float) -> bool:
    """Whether a mutant is among the share, from 0 to 1, of all that the seed draws."""
    digest = blake2b(repr((seed, identity)).encode(), digest_size=_BITS // 8).digest()
    return int.from_bytes(digest) < share * 2**_BITS
