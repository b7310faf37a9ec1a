"""`none`: one response holds everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from worker.config.model import Issues
from worker.core.cursor import Json
from worker.core.delivery import SINGLE_PAGE
from worker.core.model import Facts
from worker.paging.style import Address, End
from worker.sources.pagination.common import StyleConfig


class Config(StyleConfig):
    """No pagination: one request a pass."""

    completeness = SINGLE_PAGE
    single, pages = True, False

    type: Literal["none"] = Field(description="kind of pagination")

    @model_validator(mode="before")
    @classmethod
    def _not_within(cls, value: Any) -> Any:
        if isinstance(value, dict) and "within" in value:
            issues = Issues()
            issues.add(
                ("within",),
                (
                    "none has no pages inside a window; for one request a window, make the keys "
                    "of within the pagination itself"
                ),
            )
            issues.check()
        return value

    @property
    def needs_body(self) -> str:
        return ""


class Single:
    """One page, then the end."""

    body_paths = ()
    last_paths = ()
    numbered = by_size = compares_records = False
    position_type = None
    token = ""

    def first(self) -> Json:
        return None

    def address(self, position: Json) -> Address:
        return Address()

    def after(self, position: Json, facts: Facts, headers: Mapping[str, str]) -> End:
        return End("single page")

    def ahead(self, position: Json, stride: int, pages: int) -> None:
        return None


def build(config: Config) -> Single:
    return Single()
