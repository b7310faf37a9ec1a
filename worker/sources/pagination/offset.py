"""`offset`: pages start at a record number, stepped by the records *received*.

Stepping by the page size asked for is how records are lost: a server that caps pages at 500 when
asked for 1,000 loses every second half page without an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import msgspec
from pydantic import Field, model_validator

from worker.config.scalars import ParamName, Whole
from worker.core.cursor import Json
from worker.core.model import Facts
from worker.paging.style import Address, Next
from worker.sources.pagination.numbered import Numbered, NumberedConfig


class Config(NumberedConfig):
    """Ask for the records from a number on."""

    size_key: ClassVar[str] = "limit_param"

    type: Literal["offset"] = Field(description="kind of pagination")
    start: Whole = Field(0, ge=0, description="offset of the first record: 0 or 1")
    limit_param: ParamName | None = Field(None, description="query parameter of the page size")
    limit: Whole | None = Field(
        None, gt=0, description="records a page to ask for; the source may send fewer"
    )
    seam: Literal[0, 1] = Field(
        0,
        description=(
            "1: ask for each page from one record earlier, which must be the last one of the page "
            "before; where records moved meanwhile the pass begins again"
        ),
    )

    @model_validator(mode="after")
    def _sizes(self) -> Config:
        if (self.limit_param is None) != (self.limit is None):
            raise ValueError("limit_param and limit go together")
        if self.seam and self.limit == 1:
            raise ValueError("a page of one record has no seam with another; use limit: 2 or more")
        return self

    @property
    def size_sent(self) -> dict[str, str]:
        return {} if self.limit_param is None else {self.limit_param: str(self.limit)}

    @property
    def page_size(self) -> int | None:
        return self.limit

    @property
    def seams(self) -> bool:
        return self.seam == 1

    @property
    def needs_body(self) -> str:
        return "offsets step by the records received"


class OffsetPosition(msgspec.Struct, forbid_unknown_fields=True):
    """The number of the first record of a page."""

    offset: Annotated[int, msgspec.Meta(ge=0)]


class Offset(Numbered):
    """Positions are record numbers; with a seam, each page is asked for from one record earlier."""

    body_paths = ()
    by_size = False
    position_type = OffsetPosition

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._start, self._seam = config.start, config.seam

    def first(self) -> Json:
        return {"offset": self._start}

    def address(self, position: Json) -> Address:
        return self.numbered_address(self._asked(position))

    def _asked(self, position: Json) -> int:
        offset: int = position["offset"]
        return max(self._start, offset - self._seam)

    def after(self, position: Json, facts: Facts, headers: Mapping[str, str]) -> Next:
        behind = self._asked(position) + facts.listed
        return Next({"offset": max(behind, position["offset"])})

    def ahead(self, position: Json, stride: int, pages: int) -> Json:
        return {"offset": position["offset"] + stride * pages}


def build(config: Config) -> Offset:
    return Offset(config)
