"""What the numbered styles share: pages and offsets are numbers that we count, and the source takes
its word from us. Only its records tell whether it did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from worker.config.scalars import ParamName
from worker.config.short_forms import Short, WithShortForms
from worker.core.cursor import Json
from worker.paging.page_sizes import PageSizes
from worker.paging.style import Address
from worker.sources.pagination.within import PagedConfig
from worker.sources.places import Target, param_target


class NumberedConfig(WithShortForms, PagedConfig):
    """Base of the `Config` of a style that counts."""

    size_key: ClassVar[str] = ""
    """The key that names the parameter of the page size."""
    shorts: ClassVar[tuple[Short, ...]] = (Short("param", "to", param_target),)

    param: ParamName | None = Field(None, description="query parameter of the number")
    to: Target | None = Field(
        None, description="where else the number goes, for example the body of a POST"
    )
    repeat: Literal["fail", "allow"] = Field(
        "fail",
        description="allow: a page may hold nothing but records that came before in the pass",
    )

    @model_validator(mode="after")
    def _one_target(self) -> NumberedConfig:
        if len(self.ways("to")) != 1:
            raise ValueError("exactly one of param, to is needed")
        return self

    @property
    def size_sent(self) -> dict[str, str]:
        """The parameter of the page size, and what it says; empty where none is asked for."""
        return {}

    @property
    def sizes(self) -> PageSizes | None:
        name, most = next(iter(self.size_sent), None), self.page_size
        if name is None or most is None:
            return None
        return PageSizes(
            most,
            lambda size: Address(params={name: str(size)}),
            first_page=self.first_page,
            least=2 if self.seams else 1,
        )

    @property
    def first_page(self) -> int | None:
        """The number of the first page, where the number is that of a page."""
        return None

    @property
    def targets(self) -> tuple[tuple[str, Target], ...]:
        numbers = () if self.to is None else ((self.written_as("to"), self.to),)
        return (*numbers, *((self.size_key, Target(param=name)) for name in self.size_sent))

    @property
    def numbered(self) -> bool:
        return True

    def refuses(self, action: str) -> str:
        if self.page_size is None and (action == "smaller_page" or self.first_page is None):
            return f"needs a page size: set {self.size_key} and the size that it asks for"
        return ""

    @property
    def repeats(self) -> bool:
        return self.repeat == "allow"


class Numbered:
    """Base of the styles that count."""

    last_paths: tuple[str, ...] = ()
    numbered = compares_records = True
    token = ""

    def __init__(self, config: NumberedConfig) -> None:
        assert config.to is not None, "a config without one is refused"
        self._target, self._size = config.to, config.size_sent

    def numbered_address(self, number: Json) -> Address:
        """The request of a page: its number, and the page size."""
        at = self._target.address(number)
        params: Mapping[str, str] = {**self._size, **(at.params or {})}
        return replace(at, params=params)
