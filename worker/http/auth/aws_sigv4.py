"""`aws_sigv4`: requests signed as AWS asks for it (Signature Version 4, by botocore's signer).

The path and the query go out in the one way of writing that the signature is made of, so that what
is signed is what is sent. A retry, a redirect and each page are signed anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from pydantic import Field, model_validator
from yarl import URL

from worker.config.extras import AWS
from worker.config.model import Issues
from worker.config.secrets import Secret
from worker.core.errors import AuthError
from worker.http.auth import AuthConfig, AuthDeps, Outgoing, StaticAuth

NOT_SIGNED: Final = frozenset({"accept-encoding", "connection", "cookie"})
"""Headers that a proxy on the way may change, or that are added behind the signature."""

SECRET: Final = frozenset({"Authorization", "X-Amz-Security-Token"})
"""Headers of a signature that prove something; the others are its time and a hash of the body."""


class Config(AuthConfig):
    """Requests signed as AWS asks for it (Signature Version 4)."""

    type: Literal["aws_sigv4"] = Field(description="kind of credentials")
    service: str = Field(min_length=1, description="name in the signature: execute-api, s3, es")
    region: str = Field(min_length=1, description="region in the signature: eu-central-1")
    access_key: Secret = Field(
        "",
        description=(
            "id of the access key: a literal or a reference to a secret; without it the usual "
            "chain is asked: environment, profile, role of the container or machine"
        ),
    )
    secret_key: Secret = Field(
        "", description="secret access key: a literal or a reference to a secret"
    )
    session_token: Secret = Field(
        "", description="token of temporary keys: a literal or a reference to a secret"
    )

    @model_validator(mode="after")
    def _complete(self) -> Config:
        issues = Issues()
        AWS.check(issues, "type")
        if bool(self.access_key) != bool(self.secret_key):
            lacking = "secret_key" if self.access_key else "access_key"
            issues.add(
                (lacking,),
                "access_key and secret_key go together",
                remedy="set both, or none for the usual chain",
            )
        if self.session_token and not self.access_key:
            issues.add(("session_token",), "session_token needs access_key", "access_key")
        issues.check()
        return self


class Keys(NamedTuple):
    """What botocore's signer needs of credentials."""

    access_key: str
    secret_key: str
    token: str | None


def build(config: Config, deps: AuthDeps) -> AwsSigV4:
    keys = _configured(config, deps) if config.access_key else _from_chain()
    return AwsSigV4(config.service, config.region, keys)


def _configured(config: Config, deps: AuthDeps) -> Callable[[], Awaitable[Keys]]:
    access, secret = deps.reading(config.access_key), deps.reading(config.secret_key)
    token = deps.reading(config.session_token)

    async def keys() -> Keys:
        return Keys(access(), secret(), token() or None)

    return keys


def _from_chain() -> Callable[[], Awaitable[Keys]]:
    """Keys of the usual chain, which renews temporary ones by itself. It may ask a network, so it
    is asked off the loop.
    """
    found: Any = None

    def look() -> Keys:
        nonlocal found
        from botocore.exceptions import BotoCoreError
        from botocore.session import get_session

        try:
            found = found or get_session().get_credentials()
            frozen = None if found is None else found.get_frozen_credentials()
        except BotoCoreError as error:
            raise AuthError(f"the AWS credentials cannot be had: {type(error).__name__}") from error
        if frozen is None:
            raise AuthError(
                "there are no AWS credentials in the environment, a profile, or a role",
                remedy="set access_key and secret_key in source.auth, or give the process a role",
            )
        return Keys(frozen.access_key, frozen.secret_key, frozen.token)

    async def keys() -> Keys:
        return await asyncio.to_thread(look)

    return keys


class AwsSigV4(StaticAuth):
    """An Auth (see worker/http/auth/__init__.py) that signs the request as it is sent."""

    def __init__(self, service: str, region: str, keys: Callable[[], Awaitable[Keys]]) -> None:
        super().__init__()
        self._service, self._region, self._keys = service, region, keys

    async def authorize(self, request: Outgoing) -> Outgoing:
        from botocore import auth
        from botocore.awsrequest import AWSRequest

        url = as_signed(request.url)
        headers = {
            name: each for name, each in request.headers.items() if name.lower() not in NOT_SIGNED
        }
        signed = AWSRequest(request.method, url, headers=headers, data=request.body or b"")
        kind = auth.S3SigV4Auth if self._service == "s3" else auth.SigV4Auth
        kind(await self._keys(), self._service, self._region).add_auth(signed)
        added = {name: each for name, each in signed.headers.items() if name not in headers}
        secret = {name: added.pop(name) for name in SECRET & added.keys()}
        return request.at(url, added).with_headers(secret)


def as_signed(url: str) -> str:
    """A URL in the way of writing that signatures are made of: each character but letters, digits
    and `-._~` is percent-encoded, within a path `/` too stays.
    """
    parts = URL(url, encoded=True)
    path = "/".join(map(_encoded, parts.raw_path.split("/")))
    pairs = [pair.partition("=") for pair in parts.raw_query_string.split("&") if pair]
    query = "&".join(f"{_encoded(name)}={_encoded(value)}" for name, _, value in pairs)
    return f"{parts.origin()}{path or '/'}{'?' if query else ''}{query}"


def _encoded(text: str) -> str:
    """A part of a URL, encoded again; a plus is a space, as in forms."""
    return quote(unquote_to_bytes(text.replace("+", "%20")), safe="-._~")
