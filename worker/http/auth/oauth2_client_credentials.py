"""`oauth2_client_credentials`: OAuth 2 client credentials (RFC 6749, 4.4)."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from worker.config.secrets import Secret
from worker.http.auth import AuthDeps
from worker.http.auth.renewable import Issued, Renewable
from worker.http.auth.tokens import Grant, TokenConfig, TokenEndpoint

_GRANT: Final = Grant({"grant_type": "client_credentials"})


class Config(TokenConfig):
    """A token from a token endpoint, renewed before it expires (RFC 6749, 4.4)."""

    type: Literal["oauth2_client_credentials"] = Field(description="kind of credentials")
    client_id: Secret = Field(description="client id: a literal or a reference to a secret")
    client_secret: Secret = Field(description="client secret: a literal or a reference to a secret")


def build(config: Config, deps: AuthDeps) -> Renewable:
    endpoint = TokenEndpoint(config, deps, keys="client_id, client_secret")

    async def ask(now: float) -> Issued:
        return (await endpoint.ask(_GRANT, now)).issued

    return Renewable(ask, deps.clock)
