"""`offset`: pages start at a record number, stepped by the records *received*.

Stepping by the page size asked for is how records are lost: a server that caps pages at 500 when
asked for 1,000 loses every second half page without an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from pydantic import Field, model_validator

from worker.config.scalars import ParamName
from worker.core.cursor import Json
from worker.core.model import Facts
from worker.paging.style import Address, Next
from worker.sources.pagination.within import PagedConfig
from worker.sources.places import Target


class Config(PagedConfig):
    """Ask for the records from a number on."""

    type: Literal["offset"] = Field(description="kind of pagination")
    param: ParamName | None = Field(None, description="query parameter of the offset")
    to: Target | None = Field(
        None, description="where else the offset goes, for example the body of a POST"
    )
    start: int = Field(0, ge=0, description="offset of the first record: 0 or 1")
    limit_param: ParamName | None = Field(None, description="query parameter of the page size")
    limit: int | None = Field(
        None, gt=0, description="records a page to ask for; the source may send fewer"
    )

    @model_validator(mode="after")
    def _one_target(self) -> Config:
        if (self.param is None) == (self.to is None):
            raise ValueError("exactly one of param, to is needed")
        if (self.limit_param is None) != (self.limit is None):
            raise ValueError("limit_param and limit go together")
        return self

    @property
    def target(self) -> Target:
        """Where the offset goes."""
        return self.to or Target(param=self.param)

    @property
    def sent_params(self) -> tuple[str, ...]:
        return (*self.target.params, *((self.limit_param,) if self.limit_param else ()))

    @property
    def needs_body(self) -> str:
        return "offsets step by the records received"


class OffsetPosition(msgspec.Struct, forbid_unknown_fields=True):
    """The number of the first record of a page."""

    offset: Annotated[int, msgspec.Meta(ge=0)]


class Offset:
    """Positions are record numbers."""

    body_paths = ()
    last_paths = ()
    numbered, by_size = True, False
    position_type = OffsetPosition

    def __init__(self, config: Config) -> None:
        self._target = config.target
        self._start = config.start
        self._limit = {config.limit_param: str(config.limit)} if config.limit_param else {}

    def first(self) -> Json:
        return {"offset": self._start}

    def address(self, position: Json) -> Address:
        at = self._target.address(position["offset"])
        return Address(
            params={**self._limit, **(at.params or {})}, headers=at.headers, body=at.body
        )

    def after(self, position: Json, facts: Facts, headers: Mapping[str, str]) -> Next:
        return Next({"offset": position["offset"] + facts.count})

    def ahead(self, position: Json, stride: int, pages: int) -> Json:
        return {"offset": position["offset"] + stride * pages}


def build(config: Config) -> Offset:
    return Offset(config)
