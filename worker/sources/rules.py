"""When passes end, and what statuses and bodies mean."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, PrivateAttr, WithJsonSchema

from worker.config.model import Model, unfit
from worker.config.problems import Path_
from worker.config.scalars import Flag, Whole
from worker.core.model import Facts
from worker.paging.spec import StopSpec
from worker.sources.conditions import When

Action = Literal[
    "page",
    "retry",
    "rate_limited",
    "fail",
    "empty",
    "stop",
    "skip",
    "refresh_auth",
    "smaller_page",
]

ANY_STATUS: Final = range(1000)
STATUSES: Final = range(100, 600)
"""Those that a config may name."""
PAGES: Final = frozenset(range(200, 300)) - {204, 205}
"""Statuses of answers that have a body, and no other meaning than a page once that is there."""
_CLASS: Final = re.compile(r"[1-5]xx", re.ASCII | re.IGNORECASE)


class OnBody(Model):
    """What a body of a good status means."""

    when: When = Field(description="what the body says")
    do: Action = Field(description="what it means")


def _statuses(value: Any) -> Any:
    """The numbers that a status of the config stands for: of itself, of a class, of a list."""
    if isinstance(value, list | tuple):
        return tuple(number for each in value for number in _statuses(each))
    if isinstance(value, str) and _CLASS.fullmatch(value):
        first = int(value[0]) * 100
        return tuple(range(first, first + 100))
    if isinstance(value, int) and not isinstance(value, bool) and value in STATUSES:
        return (value,)
    raise unfit(
        "this is no status",
        allowed="a number from 100 to 599, a class like 5xx, or a list of them is allowed",
        remedy="leave status out for a rule that looks at the body only",
    )


_STATUS: Final = {
    "anyOf": [
        {"type": "integer", "minimum": 100, "maximum": 599},
        {"type": "string", "pattern": "^[1-5][xX]{2}$"},
    ]
}
Statuses = Annotated[
    tuple[int, ...],
    BeforeValidator(_statuses),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [*_STATUS["anyOf"], {"type": "array", "items": _STATUS}]}),
]
"""A status, a class of them like `5xx`, or a list of both."""


class ResponseRule(Model):
    """What an answer means that has one of these statuses, and whose body says this."""

    status: Statuses = Field(
        (),
        validate_default=False,
        description="a status, a class like 5xx, or a list; default: any",
    )
    when: When | None = Field(None, description="and what the body says")
    do: Action = Field(description="what it means")

    _written_as: Path_ = PrivateAttr(("responses",))

    @property
    def written_as(self) -> Path_:
        """The key of the source that the rule was written as."""
        return self._written_as

    @property
    def short(self) -> bool:
        """Whether it was written in a short form."""
        return self._written_as[0] != "responses"

    def named(self, *path: str | int) -> Self:
        """The same rule, written as this key."""
        self._written_as = path
        return self

    @property
    def statuses(self) -> Collection[int]:
        """The statuses that the rule is about."""
        return self.status or ANY_STATUS


def general_rules(
    responses: Sequence[ResponseRule],
    on_status: Mapping[int, Action],
    on_body: Sequence[OnBody],
) -> tuple[ResponseRule, ...]:
    """The rules of a source in their one general form, in order: the first that holds decides.

    A status that `on_status` calls a page comes last: whether its body is one is asked of
    `on_body`, as of every page.
    """
    by_status = [
        ResponseRule(status=(status,), do=action).named("on_status", status)
        for status, action in on_status.items()
    ]
    pages = [rule for rule in by_status if rule.do == "page"]
    bodies = tuple(sorted(PAGES.union(*(rule.statuses for rule in pages))))
    return (
        *(rule.named("responses", number) for number, rule in enumerate(responses)),
        *(rule for rule in by_status if rule.do != "page"),
        *(
            ResponseRule(status=bodies, when=rule.when, do=rule.do).named("on_body", number)
            for number, rule in enumerate(on_body)
        ),
        *pages,
    )


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
