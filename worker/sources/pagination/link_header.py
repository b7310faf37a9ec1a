"""`link_header`: the next page is in the Link response header (RFC 8288).

A header is read wholly or it is an error: one that is half understood looks like the last page, and
loses the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from pydantic import Field

from worker.core.cursor import Json
from worker.core.delivery import TOKENS
from worker.core.errors import PermanentError
from worker.core.model import Facts
from worker.paging.style import Address, End, Next, UrlPosition
from worker.sources.pagination.common import resolve
from worker.sources.pagination.within import PagedConfig
from worker.sources.places import Locator

_GAP: Final = re.compile(r"[\s,]*")  # lists may have empty elements
_TARGET: Final = re.compile(r"<([^<>]*)>\s*")
_PARAM: Final = re.compile(
    r"""
    ;\s* (?:                                     # a semicolon with nothing behind it is common
    (?P<name> [\w!\#$%&'*+.^`|~-]+ ) \s*
    (?: = \s* (?:
        " (?P<quoted> (?: [^"\\] | \\. )* ) "
        # no quotes by the standard, but servers take them for some
        | ' (?P<single> [^']* ) ' (?= \s* (?: [;,] | $ ))
        | (?P<bare> [^\s",;<>] [^",;<>]* )?
    ))? \s* )?
    """,
    re.VERBOSE | re.DOTALL,
)
_QUERY: Final = re.compile(r"\?[^>\s]*")  # may hold secrets
_USER: Final = re.compile(r"(?<=//)[^/?#@>\s]*@")
SHOWN_CHARS: Final = 300


class Config(PagedConfig):
    """Follow the Link header."""

    completeness, follows = TOKENS, True

    type: Literal["link_header"] = Field(description="kind of pagination")
    rel: str = Field("next", description="relation to follow")

    @property
    def token_at(self) -> Locator:
        return Locator(header="Link")

    @property
    def needs_body(self) -> str:
        return ""


class LinkHeader:
    """Positions are URLs, followed verbatim."""

    body_paths = ()
    last_paths = ()
    numbered = by_size = compares_records = False
    position_type = UrlPosition | None
    token = ""

    def __init__(self, rel: str) -> None:
        self._rel = rel.lower()

    def first(self) -> Json:
        return None

    def address(self, position: Json) -> Address:
        return Address() if position is None else Address(url=position["url"])

    def after(self, position: Json, facts: Facts, headers: Mapping[str, str]) -> Next | End:
        for target, relations in list(
            _links(headers.get("Link", ""))
        ):  # all of them: what follows a next link must be legal too
            if self._rel in relations:
                url = resolve(facts.url, target)
                return Next({"url": url}, token=url)
        return End(f"no link with rel {self._rel}")

    def ahead(self, position: Json, stride: int, pages: int) -> None:
        return None


def _links(header: str) -> Iterator[tuple[str, list[str]]]:
    """(target, relations in lower case) of every link of a header.

    Raises PermanentError for one that cannot be read to its end.
    """
    at = _skip(_GAP, header, 0)
    while at < len(header):
        target = _TARGET.match(header, at)
        if target is None:
            raise _illegible(header, at)
        relation, at = _relation(header, target.end())
        if at < len(header) and header[at] != ",":
            raise _illegible(header, at)
        at = _skip(_GAP, header, at)
        yield target[1].strip(), re.sub(r"\\(.)", r"\1", relation).lower().split()


def _relation(header: str, at: int) -> tuple[str, int]:
    """The value of the first `rel`, which counts, of the parameters at `at`, and their end."""
    relation: str | None = None
    while (param := _PARAM.match(header, at)) is not None:
        at = param.end()
        if relation is None and (param["name"] or "").lower() == "rel":
            relation = param["quoted"] or param["single"] or param["bare"] or ""
    return relation or "", at


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _illegible(header: str, at: int) -> PermanentError:
    def shown(part: str) -> str:
        return _USER.sub("", _QUERY.sub("?***", part))

    return PermanentError(
        (
            f"the Link header cannot be read: {shown(header)[:SHOWN_CHARS]!r} has no link or "
            f"parameter at character {at}"
        ),
        remedy=(
            'a link looks like <URL>; rel="next"; where the body names the next page too, use '
            "pagination type next_url or cursor"
        ),
    )


def build(config: Config) -> LinkHeader:
    return LinkHeader(config.rel)
