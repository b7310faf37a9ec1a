"""Pages whose records path holds null: whether that is an empty page. Pure.

An error that is sent with status 200 (GraphQL does) looks like the end of a pass: no records, and
no token of a next page.
"""

from __future__ import annotations

from worker.core.errors import TokenMissing
from worker.core.model import Facts
from worker.paging.spec import PagingSpec
from worker.paging.style import End, Next

_REMEDY = (
    "name error bodies with source.on_body (path: errors, exists: true); where the source means an "
    "empty last page set source.records_missing: empty"
)


def refuse_null(facts: Facts, following: Next | End, spec: PagingSpec, where: str) -> None:
    """Checks that a page without records says so.

    Raises:
        TokenMissing: null stands where records are looked for, beside errors, or without a word
            that this is the last page.
    """
    if not facts.null:
        return
    if facts.errors:
        raise TokenMissing(
            "null stands where records are looked for, and the body has errors beside it",
            where=where,
            remedy=_REMEDY,
        )
    silent = isinstance(following, End) and not following.explicit
    if silent and not spec.empty_missing:
        raise TokenMissing(
            "null stands where records are looked for, and "
            f"{spec.style.token or 'the token of the next page'} is absent",
            where=where,
            remedy=_REMEDY,
        )
