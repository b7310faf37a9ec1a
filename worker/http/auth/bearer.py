"""`bearer`: a token in the Authorization header (RFC 6750, 2.1)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from worker.config.secrets import Secret
from worker.http.auth import AuthConfig, AuthDeps, StaticAuth


class Config(AuthConfig):
    """A token that is sent as `Authorization: Bearer`."""

    type: Literal["bearer"] = Field(description="kind of credentials")
    token: Secret = Field(description="token: a literal or a reference to a secret")


def build(config: Config, deps: AuthDeps) -> StaticAuth:
    token = deps.reading(config.token)
    return StaticAuth(lambda: {"Authorization": f"Bearer {token()}"})
