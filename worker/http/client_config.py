"""`timeout` and `limits`: what the client waits for, and what a response may be."""

from __future__ import annotations

from pydantic import Field

from worker.config.model import Model
from worker.config.scalars import Number, PositiveDuration, Size, Whole, unit_field


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
        description=(
            "levels of a record, also in fields that the schema lacks; a deeper one is a reject. "
            "Where it is not set, and in Avro bodies, only records of a schema that can hold "
            "itself are counted; in Avro bodies 64 is the most"
        ),
    )
