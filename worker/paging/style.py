"""The port of a pagination style: where a pass begins, how a page is asked for, where the page
after it is. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from worker.core.cursor import Json
from worker.core.model import Facts

EMPTY_PAGE: Final = "empty page"
"""Why pages end where one has no records."""


@dataclass(frozen=True, slots=True)
class Next:
    """The pass goes on at this position."""

    position: Json
    token: Json = None  # what the loop guard remembers; None = this style has none, compare bodies
    left: int | None = None  # pages that follow the one before, as far as the source said


@dataclass(frozen=True, slots=True)
class End:
    """The style itself sees no next page.

    Attributes:
        explicit: the source said so: an end token, a last page number. A token that is only absent
            may also be absent from an error page.
    """

    reason: str
    explicit: bool = True


class UrlPosition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The position of a style that follows URLs; None for the first page."""

    url: str


def is_silent(following: Next | End) -> bool:
    """Whether a page says nothing of a next one, not even that there is none."""
    return isinstance(following, End) and not following.explicit


@dataclass(frozen=True, slots=True)
class Address:
    """How a position changes the request: `url` replaces it (verbatim), the rest is added.

    Values of `params` are encoded for the query; those of `query` are so already.
    """

    url: str | None = None
    params: Mapping[str, str] | None = None
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    body: Mapping[str, Json] | None = None  # dotted path -> value
    form: Mapping[str, str] | None = None

    def plus(self, other: Address) -> Address:
        """What both say."""

        def both(
            one: Mapping[str, Any] | None, two: Mapping[str, Any] | None
        ) -> Mapping[str, Any] | None:
            return {**(one or {}), **(two or {})} or None

        return Address(
            url=other.url or self.url,
            params=both(self.params, other.params),
            query=both(self.query, other.query),
            headers=both(self.headers, other.headers),
            body=both(self.body, other.body),
            form=both(self.form, other.form),
        )


class Pagination(Protocol):
    """One pagination style: pure, decides only where the next page is. See sources/pagination/."""

    body_paths: tuple[str, ...]  # facts this style needs from the body
    last_paths: tuple[str, ...]  # and from the last record
    # page numbers or offsets: empty_page ends it, bodies are its loop guard, the server's changes
    # shift it
    numbered: bool
    compares_records: bool  # nothing but its records tells that a page came again
    token: str  # where in a body the token of the next page is; empty for none
    # positions count pages: with another number of records a page they mean another place
    by_size: bool

    @property
    def position_type(self) -> Any:
        """The type of positions, as msgspec reads it: a stored one that is no such value is refused
        when the partition starts.
        """

    def first(self) -> Json:
        """Position of the first page of a pass."""

    def address(self, position: Json) -> Address:
        """How to ask for the page at `position`."""

    def after(self, position: Json, facts: Facts, headers: Mapping[str, str]) -> Next | End:
        """Where the page after this one is.

        Raises PermanentError when what it found cannot be a position.
        """

    def ahead(self, position: Json, stride: int, pages: int) -> Json | None:
        """Guess of the position `pages` after `position` if each page brings `stride` records; None
        = cannot guess.
        """
