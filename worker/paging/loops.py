"""The loop guards: no page token comes twice in a pass, and no numbered page brings only what came
before. Pure.
"""

from __future__ import annotations

from collections.abc import Container

import msgspec

from worker.core.cursor import Json, PassState
from worker.core.errors import PaginationLoop
from worker.core.identities import digest16
from worker.paging.seen import Seen
from worker.paging.spec import PagingSpec
from worker.paging.style import Next


def guard(following: Next, known: Container[bytes], where: str) -> bytes | None:
    """The 16-byte hash that is remembered of a page whose pass goes on; None for none.

    Without a token the records are compared (`refuse_known`).

    Args:
        known: the hashes of this pass so far.
        where: the partition, for the error.

    Raises:
        PaginationLoop: the hash is known.
    """
    token = following.token
    if token is None:
        return None
    remembered = _digest(token)
    if remembered in known:
        raise PaginationLoop(
            f"the token {_shown(token)!r} came before in this pass",
            where=where,
            remedy="the source repeats itself: check pagination; scroll ids need repeat: allow",
        )
    return remembered


def refuse_known(seen: Seen, records: int, state: PassState, spec: PagingSpec, where: str) -> bool:
    """Whether a page without a token is set aside: all of its records came before in the pass.

    Records that were inserted before a page while the pages were read can shift it by its whole
    length, so with a key the next one is asked for. A pass that began again may bring again what it
    had read.

    Args:
        records: of the page, without one that a seam repeats.

    Raises:
        PaginationLoop: it is the second such page in a row, or the records have no key.
    """
    first = state.pages_here == 0
    if not spec.style.compares_records or spec.repeats or first or records == 0 or seen.new:
        return False
    if state.pages < state.known_pages:
        return False
    if spec.style.numbered and spec.key and not state.aside:
        return True
    raise PaginationLoop(
        f"all {records} records of the page came before in this pass",
        where=where,
        remedy="the source ignores the parameter of the page, or sends its last page again: check "
        "the names in pagination and its start; a source that repeats its last page for ever needs "
        "stop: {repeated_page: true}; where equal pages are meant, repeat: allow",
    )


def repeats_page(
    seen: Seen, records: int, state: PassState, spec: PagingSpec, *, full: bool, where: str
) -> bool:
    """Whether the page ends the pass because its records are those of the page before.

    Args:
        full: the page before had as many records as a page can have.

    Raises:
        PaginationLoop: it is the second page behind a full first one. Then the source ignores what
            it is asked for.
    """
    if not spec.stop.repeated_page or not spec.style.numbered or records == 0:
        return False
    if seen.digest != state.digest:
        return False
    if state.pages_here == 1 and full:
        raise PaginationLoop(
            f"the second page has the same {records} records as the first one, which was full",
            where=where,
            remedy="the source ignores the parameter of the page: check the names in pagination; "
            "where one full page is all that there is, set pagination.total or stop.short_page",
        )
    return True


def _digest(value: Json) -> bytes:
    return digest16(msgspec.json.encode(value))


def _shown(token: Json) -> str:
    """A token for people: of a URL without its query, which may hold credentials."""
    text = str(token)
    if text.startswith(("http://", "https://")):
        text = text.partition("?")[0]
    return text[:80]
