"""`link_header`: the next page is in the Link response header (RFC 8288)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from pydantic import Field

from worker.core.delivery import TOKENS
from worker.core.model import Facts, Json
from worker.core.ports import Address, End, Next
from worker.sources.pagination.common import StyleConfig, resolve

_LINK: Final = re.compile(r'<([^>]*)>((?:\s*;\s*[\w!#$&+\-.^`|~*]+(?:\s*=\s*(?:"[^"]*"|[^",;\s]*))?)*)\s*(?:,|$)')
_REL: Final = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^",;\s]*))', re.IGNORECASE)


class Config(StyleConfig):
    """Follow the Link header."""

    completeness = TOKENS

    type: Literal["link_header"]
    rel: str = Field("next", description="relation to follow")

    @property
    def needs_body(self) -> str:
        return ""


class LinkHeader:
    """Positions are URLs, followed verbatim."""

    body_paths = ()
    last_paths = ()
    numbered = False

    def __init__(self, rel: str) -> None:
        self._rel = rel.lower()

    def first(self) -> Json:
        return None

    def address(self, position: Json) -> Address:
        return Address() if position is None else Address(url=position["url"])

    def after(self, position: Json, facts: Facts, headers: Mapping[str, str]) -> Next | End:
        for link in _LINK.finditer(headers.get("Link", "")):
            rel = _REL.search(link[2])
            if rel and self._rel in (rel[1] or rel[2] or "").lower().split():
                url = resolve(facts.url, link[1])
                return Next({"url": url}, token=url)
        return End(f"no link with rel {self._rel}")

    def ahead(self, position: Json, stride: int, pages: int) -> None:
        return None


def build(config: Config) -> LinkHeader:
    return LinkHeader(config.rel)
