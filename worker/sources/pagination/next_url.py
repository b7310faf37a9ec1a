"""`next_url`: the body or a header holds the URL of the next page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from worker.config.scalars import HeaderName, JmesPath
from worker.core.cursor import Json
from worker.core.delivery import TOKENS
from worker.core.model import Facts
from worker.paging.style import Address, End, Next, UrlPosition
from worker.sources.pagination.common import is_end, resolve, said_in
from worker.sources.pagination.within import PagedConfig
from worker.sources.places import Locator


class Config(PagedConfig):
    """Follow a URL that the response names."""

    completeness, follows = TOKENS, True

    type: Literal["next_url"] = Field(description="kind of pagination")
    path: JmesPath | None = Field(None, description="JMESPath of the URL in the body")
    header: HeaderName | None = Field(None, description="response header that holds the URL")

    @model_validator(mode="after")
    def _one_place(self) -> Config:
        if (self.path is None) == (self.header is None):
            raise ValueError("exactly one of path, header is needed")
        return self

    @property
    def locator(self) -> Locator:
        """Where the URL is."""
        return Locator(body=self.path, header=self.header)

    @property
    def token_at(self) -> Locator:
        return self.locator

    @property
    def needs_body(self) -> str:
        return "" if self.header is not None else "pagination reads the next URL from it"


class NextUrl:
    """Positions are URLs, followed verbatim."""

    last_paths = ()
    numbered = by_size = compares_records = False
    position_type = UrlPosition | None

    def __init__(self, source: Locator) -> None:
        self._source = source
        self.body_paths, self.token = source.body_paths, source.body or ""

    def first(self) -> Json:
        return None

    def address(self, position: Json) -> Address:
        return Address() if position is None else Address(url=position["url"])

    def after(self, position: Json, facts: Facts, headers: Mapping[str, str]) -> Next | End:
        link = self._source.read(facts, headers)
        if is_end(link):
            return End("no next url", explicit=said_in(self._source, link))
        url = resolve(facts.url, link)
        return Next({"url": url}, token=url)

    def ahead(self, position: Json, stride: int, pages: int) -> None:
        return None


def build(config: Config) -> NextUrl:
    return NextUrl(config.locator)
