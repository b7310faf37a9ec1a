"""`cursor`: the response names a token that the next request carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from pydantic import Field

from worker.core.cursor import Json
from worker.core.delivery import TOKENS
from worker.core.model import Facts
from worker.paging.style import EMPTY_PAGE, Address, End, Next
from worker.sources.pagination.common import is_end, said_in
from worker.sources.pagination.within import PagedConfig
from worker.sources.places import PageLocator, Target, TokenTarget


class Config(PagedConfig):
    """Carry a token from page to page."""

    completeness = TOKENS

    type: Literal["cursor"] = Field(description="kind of pagination")
    from_: PageLocator = Field(alias="from", description="where the token of the next page is")
    to: TokenTarget = Field(description="where the request carries it")
    repeat: Literal["fail", "allow"] = Field(
        "fail",
        description="allow: the same token every time (scroll ids); records are compared instead",
    )

    @property
    def targets(self) -> tuple[tuple[str, Target], ...]:
        return (("to", self.to),)

    @property
    def token_at(self) -> PageLocator:
        return self.from_

    @property
    def compares_records(self) -> bool:
        return self.repeat == "allow"

    @property
    def needs_body(self) -> str:
        return "" if self.from_.header is not None else "pagination reads the token from it"


class TokenPosition(msgspec.Struct, forbid_unknown_fields=True):
    """The token of a page: any JSON value; None for the first page."""

    token: Any


class Token:
    """Positions are tokens: any JSON value."""

    numbered = by_size = False
    position_type = TokenPosition | None

    def __init__(self, source: PageLocator, target: TokenTarget, *, repeats: bool) -> None:
        self._source, self._target, self._repeats = source, target, repeats
        self.body_paths, self.last_paths = source.body_paths, source.last_paths
        self.token = source.body or source.last_record or ""
        self.compares_records = repeats
        self._ends_empty = source.last_record is not None

    def first(self) -> Json:
        return None

    def address(self, position: Json) -> Address:
        return Address() if position is None else self._target.address(position["token"])

    def after(self, position: Json, facts: Facts, headers: Mapping[str, str]) -> Next | End:
        token = self._source.read(facts, headers)
        if self._ends_empty and facts.listed == 0:
            return End(EMPTY_PAGE)
        if is_end(token):
            return End("no next token", explicit=said_in(self._source, token))
        self._target.refuse_unencoded(token)
        return Next({"token": token}, token=None if self._repeats else token)

    def ahead(self, position: Json, stride: int, pages: int) -> None:
        return None


def build(config: Config) -> Token:
    return Token(config.from_, config.to, repeats=config.compares_records)
