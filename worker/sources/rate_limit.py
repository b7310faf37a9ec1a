"""The config of `rate_limit`: how often requests may be made. See `resilience/limits.py`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, model_validator

from worker.config.model import Issues, Model
from worker.config.scalars import Number, PositiveDuration, duration_text, unit_field
from worker.core.errors import PermanentError
from worker.core.model import Facts
from worker.resilience.limits import Limit
from worker.sources.places import Locator

MOST_COST: Final = 1e15


class RateLimit(Model):
    """At most `requests`, or what they `cost`, in each `per`."""

    requests: Number | None = Field(None, ge=0.001, description="requests")
    cost: Number | None = Field(
        None, ge=0.001, description="instead of requests: what they cost together"
    )
    per: PositiveDuration = unit_field("1s", description="in this time")
    from_: Locator | None = Field(
        None, alias="from", description="where an answer says what its request has cost"
    )

    @model_validator(mode="after")
    def _one_amount(self) -> RateLimit:
        issues = Issues()
        if (self.requests is None) == (self.cost is None):
            found = "neither is" if self.cost is None else "both are"
            issues.add(
                ("requests",) if self.cost is None else ("cost",),
                f"exactly one of requests, cost is needed, and {found} given",
                "requests",
                "cost",
            )
        elif self.cost is not None and self.from_ is None:
            issues.add(
                ("from",),
                "from is missing: where an answer says what its request has cost",
                allowed="from: {body: extensions.cost.actual} or {header: X-Cost} is allowed",
            )
        elif self.cost is None and self.from_ is not None:
            issues.add(
                ("from",),
                "from says what a request costs, and this limit counts requests",
                "requests",
                remedy="take it out, or write cost instead of requests",
            )
        issues.check()
        return self

    @property
    def limit(self) -> Limit:
        """The same as the gate wants it."""
        if self.cost is not None:
            return Limit(self.cost, self.per, cost=True)
        return Limit(self.requests or 1.0, self.per)

    @property
    def body_paths(self) -> tuple[str, ...]:
        """The paths of bodies that say a cost."""
        return () if self.from_ is None else self.from_.body_paths

    def cost_of(self, facts: Facts, headers: Mapping[str, str]) -> float | None:
        """What an answer says that its request has cost; None where it does not."""
        if self.from_ is None:
            return None
        try:
            return _as_cost(self.from_.read(facts, headers))
        except PermanentError:  # a header that is no text
            return None


def _as_cost(value: Any) -> float | None:
    """A number of JSON, or the text of one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        cost = float(value)
    except (ValueError, OverflowError):
        return None
    return min(cost, MOST_COST) if cost >= 0 and not math.isnan(cost) else None


def _several(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


RateLimits = Annotated[
    tuple[RateLimit, ...],
    Field(min_length=1),
    BeforeValidator(_several, json_schema_input_type=RateLimit | tuple[RateLimit, ...]),
]
"""One limit, or several that hold together."""


def limit_words(limit: Limit) -> str:
    """A limit for people, as its config says it."""
    what = f"cost {limit.amount:g}" if limit.cost else f"{limit.amount:g} requests"
    return f"{what} per {duration_text(limit.per_s)}"


def limits_of(config: Sequence[RateLimit] | None) -> tuple[Limit, ...]:
    """The limits of a gate."""
    return tuple(each.limit for each in config or ())
