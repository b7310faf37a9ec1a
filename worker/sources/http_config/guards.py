"""What stands round a request: retries, breaker, timeouts, limits, certificates."""

from __future__ import annotations

from pydantic import Field, model_validator

from worker.config.model import Issues, Model
from worker.config.scalars import Duration, Number, PositiveDuration, Size, Whole, unit_field


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


class TimeoutConfig(Model):
    """Limits of time of one request."""

    connect: PositiveDuration = unit_field("10s", description="to connect")
    read: PositiveDuration = unit_field("30s", description="between two reads")
    total: PositiveDuration = unit_field("60s", description="for a whole exchange")


class LimitsConfig(Model):
    """Limits of what a response may be."""

    wire: Size = unit_field("64MiB", description="bytes on the wire")
    body: Size = unit_field("128MiB", description="bytes inflated")
    ratio: Number = Field(200.0, gt=0, description="inflated to wire bytes")
    record: Size = unit_field("1MiB", description="bytes of one record; a longer one is a reject")
    depth: Whole = Field(
        64,
        ge=1,
        le=512,
        description="levels of a record, where its schema can hold itself; a deeper one is a reject",
    )


class TlsConfig(Model):
    """Certificates; paths are relative to the working directory."""

    ca_file: str | None = Field(
        None, min_length=1, description="certificates to trust instead of the system's"
    )
    cert_file: str | None = Field(None, min_length=1, description="client certificate")
    key_file: str | None = Field(
        None, min_length=1, description="its key, unless it is in cert_file"
    )

    @model_validator(mode="after")
    def _pair(self) -> TlsConfig:
        issues = Issues()
        if self.key_file is not None and self.cert_file is None:
            issues.add(("key_file",), "key_file needs cert_file", "cert_file")
        issues.check()
        return self
