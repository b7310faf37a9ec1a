"""The loop guard: no page token, and no body of a style without tokens, comes twice in a pass.
Pure.
"""

from __future__ import annotations

from collections.abc import Set
from hashlib import blake2b

import msgspec

from worker.core.cursor import Json
from worker.core.errors import PaginationLoop
from worker.core.model import Facts
from worker.paging.style import Next


def guard(
    following: Next, at: Json, facts: Facts, *, numbered: bool, known: Set[bytes], where: str
) -> bytes:
    """The 16-byte hash that is remembered of a page whose pass goes on.

    An empty page does not move an offset. Where the total says that more is to come, it is asked
    for once more, whatever else its body says.

    Args:
        at: the position of the page.
        known: the hashes of this pass so far.
        where: the partition, for the error.

    Raises:
        PaginationLoop: the hash is known.
    """
    token = following.token
    stuck = numbered and following.position == at
    if token is not None:
        remembered, what = _digest(token), f"the token {_shown(token)!r}"
    elif stuck:
        remembered, what = _digest(at), "an empty page at the same place"
    else:
        remembered, what = facts.digest, "the body of this page"
    if remembered in known:
        raise PaginationLoop(
            f"{what} came before in this pass",
            where=where,
            remedy="the source repeats itself: check pagination; scroll ids need repeat: allow",
        )
    return remembered


def _digest(value: Json) -> bytes:
    return blake2b(msgspec.json.encode(value), digest_size=16).digest()


def _shown(token: Json) -> str:
    """A token for people: of a URL without its query, which may hold credentials."""
    text = str(token)
    if text.startswith(("http://", "https://")):
        text = text.partition("?")[0]
    return text[:80]
