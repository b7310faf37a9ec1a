"""`oauth2_password`: OAuth 2 with the name and password of a user (RFC 6749, 4.3)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from worker.config.secrets import Secret
from worker.http.auth import AuthDeps
from worker.http.auth.renewable import Issued, Renewable
from worker.http.auth.tokens import Grant, TokenConfig, TokenEndpoint


class Config(TokenConfig):
    """A token for the name and password of a user, renewed before it expires (RFC 6749, 4.3)."""

    type: Literal["oauth2_password"] = Field(description="kind of credentials")
    username: Secret = Field(description="user name: a literal or a reference to a secret")
    password: Secret = Field(description="password: a literal or a reference to a secret")


def build(config: Config, deps: AuthDeps) -> Renewable:
    endpoint = TokenEndpoint(config, deps, keys="username, password, client_id, client_secret")
    username, password = deps.reading(config.username), deps.reading(config.password)

    async def ask(now: float) -> Issued:
        secret = password()
        form = {"grant_type": "password", "username": username(), "password": secret}
        return (await endpoint.ask(Grant(form, (secret,)), now)).issued

    return Renewable(ask, deps.clock)
