"""`basic`: user name and password."""

from __future__ import annotations

import base64
from typing import Literal

from pydantic import Field

from worker.config.secrets import Secret
from worker.http.auth import AuthConfig, AuthDeps, StaticAuth


class Config(AuthConfig):
    """User name and password (RFC 7617)."""

    type: Literal["basic"] = Field(description="kind of credentials")
    username: Secret = Field(description="user name: a literal or a reference to a secret")
    password: Secret = Field("", description="password: a literal or a reference to a secret")


def build(config: Config, deps: AuthDeps) -> StaticAuth:
    username, password = deps.reading(config.username), deps.reading(config.password)

    def headers() -> dict[str, str]:
        pair = base64.b64encode(f"{username()}:{password()}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    return StaticAuth(headers)
