"""What pagination styles share: the base of their configs, and the meaning of values."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, ClassVar, Final
from urllib.parse import quote, urljoin

from pydantic import Field

from worker.config.model import Model
from worker.core.delivery import UNPROMISED, ByOrder
from worker.core.errors import PermanentError
from worker.core.json_kinds import describe_kind
from worker.core.model import MISSING
from worker.paging.page_sizes import PageSizes
from worker.sources.pagination.window_keys import WindowKeys
from worker.sources.places import Locator, Target

# RFC 6570 expressions of a query, as HAL writes them; other braces are data.
_NAME: Final = r"(?:[\w.]|%[0-9A-Fa-f]{2})+(?::\d+|\*)?"
_QUERY_EXPRESSIONS: Final = re.compile(rf"(?:\{{[?&]{_NAME}(?:,{_NAME})*\}})+(&?)", re.ASCII)
_ORIGIN: Final = re.compile(r"(?:[A-Za-z][\w+.-]*:)?//[^/?#]*", re.ASCII)
# `items 0-24/319`, `0-24/*`, `*/0`, and what servers write for an empty range: `items 0--1/0`
_CONTENT_RANGE: Final = re.compile(
    r"(?:[A-Za-z][\w.-]*[ =:]\s*)?(?:\d+--?\d+|-?\*)\s*/\s*(\d+|\*)", re.ASCII
)
MOST_RECORDS: Final = 2**63
_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))


class StyleConfig(Model):
    """Base of the `Config` of a style: what the rest of the worker must know of it."""

    type: str = Field(description="kind of pagination")

    completeness: ClassVar[ByOrder] = UNPROMISED
    """What a pass shows without a total; a style that says nothing promises nothing."""
    windows_at: ClassVar[tuple[str, ...]] = ("within",)
    """Where the keys of its windows stand, if it has any."""
    single: ClassVar[bool] = False
    """One request a pass: conditional requests are safe."""
    pages: ClassVar[bool] = True
    """A pass, or a window of it, may have several pages."""
    follows: ClassVar[bool] = False
    """The source names the next page by its URL."""

    total: Locator | None = Field(None, description="where the source says how many records it has")

    @property
    def targets(self) -> tuple[tuple[str, Target], ...]:
        """(key, place) of everything that the style adds to requests."""
        return ()

    @property
    def token_at(self) -> Locator | None:
        """Where a page says which one is next; None for styles that count."""
        return None

    @property
    def page_size(self) -> int | None:
        """Records a page that are asked for; None where the source decides."""
        return None

    @property
    def sizes(self) -> PageSizes | None:
        """How pages of fewer records are asked for; None where no size is asked for."""
        return None

    @property
    def repeats(self) -> bool:
        """Whether numbered pages may hold nothing but records that came before."""
        return False

    @property
    def seams(self) -> bool:
        """Whether each page begins with the last record of the page before."""
        return False

    @property
    def numbered(self) -> bool:
        """Whether the style counts pages or records."""
        return False

    def refuses(self, action: str) -> str:
        """Why a page cannot be left out (`skip`) or asked for with fewer records (`smaller_page`),
        in words; empty where it can.
        """
        return {
            "skip": "needs pages that are counted (type page or offset): without this page nobody "
            "knows where the next one is",
            "smaller_page": "needs pages that are counted and have a size (type page or offset)",
        }[action]

    @property
    def compares_records(self) -> bool:
        """Whether nothing but its records tells that a page came again."""
        return self.numbered

    @property
    def needs_body(self) -> str:
        """Why the next position needs a readable body, empty when it does not.

        `on_body_error: dead_letter` is refused where it does.
        """
        return "pagination reads the next position from it"

    @property
    def windows(self) -> WindowKeys | None:
        """How the range of a pass is cut into windows; None: it is asked for as a whole."""
        return None


def is_end(token: Any) -> bool:
    """End tokens are null, absent, empty text and false; 0 is a token."""
    return token is MISSING or token is None or token is False or token == ""


def said_in(source: Locator, token: Any) -> bool:
    """Whether the source said that there is no next page. In a body it is an end token; a header is
    left out on the last page.
    """
    return source.header is not None or token is not MISSING


def as_count(value: Any, what: str) -> int | None:
    """A count said by the source, from JSON or header text; None when it said nothing.

    A negative number says that the source did not count; of a Content-Range (RFC 9110, 14.4) the
    part behind / counts, where * is unknown. Raises PermanentError for what is no
    whole number.
    """
    if isinstance(value, str) and (found := _CONTENT_RANGE.fullmatch(value.strip())):
        value = None if found[1] == "*" else found[1]
    if value is MISSING or value is None or value == "":
        return None
    if (count := _whole(value)) is None:
        raise PermanentError(
            f"{what} is no count: {str(value)[:80]!r}", remedy="point it at a whole number"
        )
    return count if count >= 0 else None


def _whole(value: Any) -> int | None:
    """The whole number that a value is, or is the text of; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(value)
        whole = abs(number) < MOST_RECORDS and number == number.to_integral_value()
    except ArithmeticError:  # no number, or none that can be compared
        return None
    return int(number) if whole else None


def resolve(url: str, link: Any) -> str:
    """An absolute URL from a link, which may be relative to the URL of the page.

    Query expressions (RFC 6570) are expanded with nothing defined.

    Spaces, control characters and what is not ASCII are percent-encoded; all else stays as it is.
    """
    if not isinstance(link, str):
        raise PermanentError(
            f"the next link is {describe_kind(link)}, text is needed",
            remedy="use pagination type cursor for tokens",
        )
    link = _QUERY_EXPRESSIONS.sub(_without_expression, link.strip())
    origin = (
        match[0] if (match := _ORIGIN.match(link)) else ""
    )  # the client knows how hosts are written
    try:
        return urljoin(url, origin + quote(link[len(origin) :], safe=_PRINTABLE))
    except ValueError as error:  # lone surrogates, a host in broken brackets
        raise PermanentError(
            "the next link is no text of a URL", remedy="check where pagination reads it"
        ) from error


def _without_expression(match: re.Match[str]) -> str:
    """What joins a parameter behind the expressions to what stands before them."""
    return match[1] and ("&" if "?" in match.string[: match.start()] else "?")
