"""`retry` and `breaker`: what stands round the requests to an origin."""

from __future__ import annotations

from pydantic import Field

from worker.config.model import Model
from worker.config.scalars import Duration, Number, PositiveDuration, Whole, unit_field


class RetryConfig(Model):
    """Attempts and the waits between them."""

    max_attempts: Whole = Field(8, ge=1, description="attempts a request")
    base: Duration = unit_field(
        "500ms", description="first wait, doubled each time, at random up to it"
    )
    cap: PositiveDuration = unit_field("60s", description="longest wait")
    deadline: PositiveDuration = unit_field("10m", description="for all attempts together")
    max_retry_after: Duration = unit_field(
        "10m", description="longest wait that the source may ask for"
    )


class BreakerConfig(Model):
    """When requests pause because too many fail; nothing is lost meanwhile."""

    failure_rate: Number = Field(0.5, gt=0, le=1, description="share of failures that opens it")
    min_calls: Whole = Field(10, ge=1, description="calls before it may open")
    window: PositiveDuration = unit_field("60s", description="time that counts")
    open_for: PositiveDuration = unit_field(
        "30s", description="first pause; doubled while probes fail"
    )
    permits: Whole = Field(3, ge=1, description="probes before it closes")
