"""Credentials, and the origins that pipelines share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from worker.config.model import Issues, Model
from worker.config.scalars import (
    Duration,
    Number,
    ParamName,
    PositiveDuration,
    Url,
    Whole,
    header_value,
    token_name,
    unit_field,
)
from worker.config.secrets import Secret


class BasicAuth(Model):
    """User name and password (RFC 7617)."""

    type: Literal["basic"] = Field(description="kind of credentials")
    username: Secret = Field(description="user name: a literal or a reference to a secret")
    password: Secret = Field("", description="password: a literal or a reference to a secret")


class BearerAuth(Model):
    """A token that is sent as `Authorization: Bearer`."""

    type: Literal["bearer"] = Field(description="kind of credentials")
    token: Secret = Field(description="token: a literal or a reference to a secret")


class ApiKeyAuth(Model):
    """A key in a header, a query parameter or a cookie."""

    type: Literal["api_key"] = Field(description="kind of credentials")
    name: ParamName = Field("X-Api-Key", description="header, parameter or cookie name")
    in_: Literal["header", "query", "cookie"] = Field(
        "header", alias="in", description="where it goes"
    )
    value: Secret = Field(description="the key: a literal or a reference to a secret")
    prefix: str = Field("", description="text before the key, like `ApiKey `")

    @model_validator(mode="after")
    def _fits_its_place(self) -> ApiKeyAuth:
        issues = Issues()
        if self.in_ != "query":
            with issues.at("name"):
                token_name(self.name, self.in_)
            with issues.at("prefix"):
                header_value(self.prefix)
        issues.check()
        return self


class OAuth2ClientCredentials(Model):
    """A token from a token endpoint, renewed before it expires (RFC 6749, 4.4)."""

    type: Literal["oauth2_client_credentials"] = Field(description="kind of credentials")
    token_url: Url = Field(description="URL of the token endpoint")
    client_id: Secret = Field(description="client id: a literal or a reference to a secret")
    client_secret: Secret = Field(description="client secret: a literal or a reference to a secret")
    scope: str = Field("", description="scopes to ask for, with spaces between them")
    refresh_before: Duration = unit_field(
        "60s", description="renew a token this long before it expires"
    )
    client_auth: Literal["basic", "body"] = Field(
        "basic", description="how the client proves itself to the token endpoint"
    )


AuthConfig = Annotated[
    BasicAuth | BearerAuth | ApiKeyAuth | OAuth2ClientCredentials, Field(discriminator="type")
]


class RateLimit(Model):
    """At most `requests` in each `per`."""

    requests: Number = Field(gt=0, description="requests")
    per: PositiveDuration = unit_field("1s", description="in this time")


class OriginConfig(Model):
    """A server that several pipelines read from."""

    url: Url = Field(description="URL that the `path` of a source is added to")
    auth: AuthConfig | None = Field(None, description="credentials")
    rate_limit: RateLimit | None = Field(
        None, description="requests in a time, of all pipelines together"
    )
    concurrency: Whole = Field(4, ge=1, le=256, description="requests at once")
