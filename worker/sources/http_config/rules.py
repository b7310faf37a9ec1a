"""When passes start and end, and what statuses and bodies mean."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from worker.config.types import (
    Duration,
    Flag,
    JmesPath,
    Model,
    Number,
    PositiveDuration,
    Whole,
    written,
)

Action = Literal["retry", "rate_limited", "fail", "empty", "stop", "skip", "refresh_auth"]


class Schedule(Model):
    """When passes start."""

    every: PositiveDuration = Field(description="from the start of a pass to the start of the next")
    jitter: Duration = written("0s", description="random time added to each")


class When(Model):
    """A condition on a body: a path and exactly one comparison."""

    path: JmesPath = Field(description="JMESPath into the body")
    equals: Any = Field(None, description="value and type are equal")
    not_equals: Any = Field(None, description="value or type differ")
    greater: Number | None = Field(None, description="a number above")
    less: Number | None = Field(None, description="a number below")
    exists: Flag | None = Field(None, description="present and not null")

    @model_validator(mode="after")
    def _one(self) -> When:
        given = self.model_fields_set - {"path"}
        if len(given) != 1 or any(
            getattr(self, name) is None for name in given & {"greater", "less", "exists"}
        ):
            raise ValueError("exactly one of equals, not_equals, greater, less, exists is needed")
        return self


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
    max_pages: Whole = Field(100_000, gt=0, description="pages a pass")
