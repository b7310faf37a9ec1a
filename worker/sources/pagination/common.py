"""What pagination styles share: where a value is read from, where it is written to, and what ends a pass."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote, urljoin

from pydantic import BaseModel, ConfigDict, Field, model_validator

from worker.config.types import JmesPath
from worker.core.delivery import UNPROMISED, ByOrder
from worker.core.errors import PermanentError
from worker.core.model import MISSING, Facts, Json
from worker.paging.style import Address
from worker.schema.values import describe_kind

if TYPE_CHECKING:
    from worker.sources.pagination.within import WindowKeys

# RFC 6570 expressions of a query, as HAL writes them; other braces are data.
_NAME: Final = r"(?:[\w.]|%[0-9A-Fa-f]{2})+(?::\d+|\*)?"
_QUERY_EXPRESSIONS: Final = re.compile(rf"(?:\{{[?&]{_NAME}(?:,{_NAME})*\}})+(&?)", re.ASCII)
_ORIGIN: Final = re.compile(r"(?:[A-Za-z][\w+.-]*:)?//[^/?#]*", re.ASCII)
_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))


class StyleModel(BaseModel):
    """Base of the style configs."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class _OneOf(StyleModel):
    @model_validator(mode="after")
    def _exactly_one(self) -> _OneOf:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            allowed = ", ".join(type(self).model_fields)
            raise ValueError(
                f"exactly one of {allowed} is needed, found {', '.join(given) or 'none'}"
            )
        return self


class Locator(_OneOf):
    """Where a response says something."""

    body: JmesPath | None = Field(None, description="JMESPath into the body")
    header: str | None = Field(None, description="name of a response header")

    @property
    def body_paths(self) -> tuple[str, ...]:
        return (self.body,) if self.body is not None else ()

    def read(self, facts: Facts, headers: Mapping[str, str]) -> Any:
        """The value, MISSING when it is not there."""
        if self.body is not None:
            return facts.body.get(self.body, MISSING)
        return headers.get(self.header or "", MISSING)


class StyleConfig(StyleModel):
    """Base of a style's `Config`: what the rest of the worker must know of a style, whatever it is called."""

    completeness: ClassVar[ByOrder] = UNPROMISED
    """What a pass shows without a total; a style that says nothing promises nothing."""
    single: ClassVar[bool] = False
    """One request a pass: conditional requests are safe."""

    total: Locator | None = Field(None, description="where the source says how many records it has")

    @property
    def needs_body(self) -> str:
        """Why the next position needs a readable body, empty when it does not: `on_body_error: dead_letter` is refused then."""
        return "pagination reads the next position from it"

    @property
    def windows(self) -> WindowKeys | None:
        """How the range of a pass is cut into windows; None: it is asked for as a whole."""
        return None


class TokenLocator(_OneOf):
    """Where a response says which page is next."""

    body: JmesPath | None = Field(None, description="JMESPath into the body")
    header: str | None = Field(None, description="name of a response header")
    last_record: JmesPath | None = Field(
        None, description="JMESPath into the last record of the page"
    )

    def read(self, facts: Facts, headers: Mapping[str, str]) -> Any:
        if self.last_record is not None:
            return facts.last.get(self.last_record, MISSING)
        if self.body is not None:
            return facts.body.get(self.body, MISSING)
        return header_token(headers, self.header or "")


class Target(_OneOf):
    """Where a request carries a value."""

    param: str | None = Field(None, description="query parameter")
    header: str | None = Field(None, description="request header")
    body: str | None = Field(None, description="dotted path in the JSON body, created when missing")

    def address(self, value: Json) -> Address:
        if self.param is not None:
            return Address(params={self.param: as_text(value)})
        if self.header is not None:
            return Address(headers={self.header: as_text(value)})
        return Address(body={self.body or "": value})


def header_token(headers: Mapping[str, str], name: str) -> Any:
    """A token in a header; MISSING when it is not there. Bytes that are no UTF-8 cannot be sent back as they came, so they are an error."""
    token = headers.get(name, MISSING)
    if isinstance(token, str) and any("\ud800" <= char <= "\udfff" for char in token):
        raise PermanentError(
            f"header {name} is no UTF-8 text: {token[:80]!r}",
            remedy="take the token from the body, or another pagination type",
        )
    return token


def as_text(value: Json) -> str:
    """A token as query or header text: JSON for what is not plain."""
    if isinstance(value, str):
        return value
    if value is True:
        return "true"
    if isinstance(value, int | float):
        return str(value)
    import orjson  # only structured tokens need it

    return orjson.dumps(value).decode()


def is_end(token: Any) -> bool:
    """End tokens are null, absent, empty text and false; 0 is a token."""
    return token is MISSING or token is None or token is False or token == ""


def as_count(value: Any, what: str) -> int | None:
    """A count said by the source, from JSON or header text; None when it said nothing."""
    if value is MISSING or value is None or value == "":
        return None
    try:
        count = int(value)
    except (TypeError, ValueError):
        count = -1
    if count < 0 or isinstance(value, bool):
        raise PermanentError(
            f"{what} is no count: {str(value)[:80]!r}", remedy="point it at a whole number"
        )
    return count


def resolve(url: str, link: Any) -> str:
    """An absolute URL from a link: relative ones against the page's, query expressions of RFC 6570 expanded with nothing defined.

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
