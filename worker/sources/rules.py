"""When passes start and end, and what statuses and bodies mean."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from worker.config.model import Model
from worker.config.scalars import Duration, Flag, PositiveDuration, Whole, unit_field
from worker.core.model import Facts
from worker.paging.spec import StopSpec
from worker.sources.conditions import When

Action = Literal["page", "retry", "rate_limited", "fail", "empty", "stop", "skip", "refresh_auth"]


class Schedule(Model):
    """When passes start."""

    every: PositiveDuration = Field(description="from the start of a pass to the start of the next")
    jitter: Duration = unit_field("0s", description="random time added to each")


class OnBody(Model):
    """What a body of a good status means."""

    when: When = Field(description="what the body says")
    do: Action = Field(description="what it means")


class StopStatus(Model):
    """A status behind the last page."""

    code: Whole = Field(ge=100, le=599, description="status code")
    when: When | None = Field(None, description="and what the body says")


class Stop(Model):
    """What ends a pass besides the style's own end; one rule is enough."""

    empty_page: Flag = Field(True, description="an empty page ends page and offset styles")
    when: When | None = Field(None, description="what the body of the last page says")
    status: tuple[StopStatus, ...] = Field(
        (), description="statuses behind the last page; never for the first page"
    )
    short_page: Annotated[Whole, Field(gt=0)] | Literal[False] = Field(
        False, description="a page of fewer records ends the pass; false: never"
    )
    repeated_page: Flag = Field(
        False, description="a page with the records of the page before ends page and offset styles"
    )
    max_pages: Whole = Field(100_000, gt=0, description="pages a pass")

    def spec(self) -> StopSpec:
        """The same as the planner wants it."""
        return StopSpec(
            empty_page=self.empty_page,
            short_page=self.short_page or None,
            max_pages=self.max_pages,
            repeated_page=self.repeated_page,
            when=self.when.holds_for if self.when is not None else _never,
        )


def _never(facts: Facts) -> bool:
    return False
