"""Origins that a source may lead to besides its own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from worker.config.model import Model
from worker.config.scalars import Url


class AllowedOrigin(Model):
    """An origin that next links and redirects may lead to."""

    url: Url = Field(description="URL of the origin; only its scheme, host and port count")
    credentials: Literal["send", "drop"] = Field(
        "drop", description="send: the credentials of `auth` are sent there too"
    )


def _from_url(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


AllowedOrigins = tuple[
    Annotated[
        AllowedOrigin, BeforeValidator(_from_url, json_schema_input_type=Url | AllowedOrigin)
    ],
    ...,
]
"""A list of origins; a URL alone is an origin that gets no credentials."""
