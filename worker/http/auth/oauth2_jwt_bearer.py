"""`oauth2_jwt_bearer`: OAuth 2 with an assertion that we sign (RFC 7523, 2.1)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from worker.config.extras import JWT
from worker.config.model import Issues
from worker.config.scalars import PositiveDuration, unit_field
from worker.config.secrets import Secret, Unsent
from worker.core.errors import ConfigError
from worker.http.auth import AuthDeps
from worker.http.auth.renewable import Issued, Renewable
from worker.http.auth.tokens import Grant, TokenConfig, TokenEndpoint

GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Config(TokenConfig):
    """A token for a JSON Web Token that is signed here, as service accounts have it (RFC 7523)."""

    type: Literal["oauth2_jwt_bearer"] = Field(description="kind of credentials")
    issuer: Secret = Field(
        description="who signs (`iss`): a client id or the address of a service account"
    )
    subject: Secret = Field(
        "", description="for whom (`sub`): a literal or a reference; default: the issuer"
    )
    audience: str = Field("", description="who it is for (`aud`); default: token_url")
    claims: dict[str, Any] = Field({}, description="further claims, like `scope`")
    private_key: Annotated[Secret, Unsent()] = Field(
        description="key that signs: PEM, or the shared key of HS256 to HS512"
    )
    key_id: str = Field("", description="name of the key (`kid` in the header)")
    algorithm: Literal[
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "ES256",
        "ES384",
        "ES512",
        "EdDSA",
        "HS256",
        "HS384",
        "HS512",
    ] = Field("RS256", description="how it is signed (RFC 7518, 3.1)")
    lifetime: PositiveDuration = unit_field("5m", description="how long the assertion is valid")

    @model_validator(mode="after")
    def _installed(self) -> Config:
        issues = Issues()
        JWT.check(issues, "type")
        issues.check()
        return self


def build(config: Config, deps: AuthDeps) -> Renewable:
    endpoint = TokenEndpoint(
        config, deps, keys="issuer, subject, audience, claims, private_key, key_id"
    )
    assertion = _signer(config, deps)

    async def ask(now: float) -> Issued:
        signed = assertion()
        grant = Grant({"grant_type": GRANT, "assertion": signed}, (signed,))
        return (await endpoint.ask(grant, now)).issued

    return Renewable(ask, deps.clock)


def _signer(config: Config, deps: AuthDeps) -> Callable[[], str]:
    """A function that signs a fresh assertion (RFC 7523, 3)."""
    import jwt  # an extra

    issuer, subject = deps.reading(config.issuer), deps.reading(config.subject)
    key = deps.reading(config.private_key)
    headers = {"kid": config.key_id} if config.key_id else None

    def assertion() -> str:
        now = int(deps.clock.time())
        claims = {
            "iss": issuer(),
            "sub": subject() or issuer(),
            "aud": config.audience or config.token_url,
            "iat": now,
            "exp": now + int(config.lifetime),
            "jti": os.urandom(16).hex(),
            **config.claims,
        }
        try:
            return jwt.encode(claims, key(), algorithm=config.algorithm, headers=headers)
        except (ValueError, TypeError, jwt.exceptions.PyJWTError) as error:
            # what it says may quote the key
            raise ConfigError(
                f"private_key cannot sign with {config.algorithm} ({type(error).__name__})",
                where="source.auth.private_key",
                remedy="it is the whole PEM of a private key without a password, of the kind that "
                "the algorithm needs",
            ) from None

    return assertion
