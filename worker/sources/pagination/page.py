"""`page`: pages are numbered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import msgspec
from pydantic import Field, model_validator

from worker.config.scalars import ParamName, Whole
from worker.core.cursor import Json
from worker.core.model import Facts
from worker.paging.style import Address, End, Next
from worker.sources.pagination.common import as_count
from worker.sources.pagination.numbered import Numbered, NumberedConfig
from worker.sources.places import Locator


class Config(NumberedConfig):
    """Ask for page 1, 2, 3 ..."""

    size_key: ClassVar[str] = "size_param"

    type: Literal["page"] = Field(description="kind of pagination")
    start: Whole = Field(1, ge=0, description="number of the first page")
    size_param: ParamName | None = Field(None, description="query parameter of the page size")
    size: Whole | None = Field(
        None, gt=0, description="records a page to ask for; the source may send fewer"
    )
    total_pages: Locator | None = Field(
        None, description="where the source says how many pages there are"
    )

    @model_validator(mode="after")
    def _sizes(self) -> Config:
        if (self.size_param is None) != (self.size is None):
            raise ValueError("size_param and size go together")
        return self

    @property
    def size_sent(self) -> dict[str, str]:
        return {} if self.size_param is None else {self.size_param: str(self.size)}

    @property
    def first_page(self) -> int:
        return self.start

    @property
    def page_size(self) -> int | None:
        return self.size

    @property
    def needs_body(self) -> str:
        return ""


class PagePosition(msgspec.Struct, forbid_unknown_fields=True):
    """The number of a page."""

    page: Annotated[int, msgspec.Meta(ge=0)]


class Page(Numbered):
    """Positions are page numbers."""

    by_size = True
    position_type = PagePosition

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._start = config.start
        self._total_pages = config.total_pages
        self.body_paths = config.total_pages.body_paths if config.total_pages else ()

    def first(self) -> Json:
        return {"page": self._start}

    def address(self, position: Json) -> Address:
        return self.numbered_address(position["page"])

    def after(self, position: Json, facts: Facts, headers: Mapping[str, str]) -> Next | End:
        left = None
        if self._total_pages is not None:
            pages = as_count(self._total_pages.read(facts, headers), "pagination.total_pages")
            number = position["page"] - self._start + 1
            if pages is not None and (
                number == pages or (number > pages and facts.listed == 0)
            ):  # a number that was passed is wrong
                return End("last page")
            if pages is not None and number < pages:
                left = pages - number
        return Next({"page": position["page"] + 1}, left=left)

    def ahead(self, position: Json, stride: int, pages: int) -> Json:
        return {"page": position["page"] + pages}


def build(config: Config) -> Page:
    return Page(config)
