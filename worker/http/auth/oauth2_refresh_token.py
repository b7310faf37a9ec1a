"""`oauth2_refresh_token`: OAuth 2 with a refresh token (RFC 6749, 6).

Some endpoints *rotate* the token: each answer brings the next one, and the one before it ends,
at the latest when the next one is used. So the next one is made durable before anything that came
with it is used. Until then the one before is still kept; a kill in between asks with that one
again, as an endpoint must allow whose answer may be lost.

What is kept belongs to the token of the config that it came from. With another one in the config,
that one is used, and what came from the old one is forgotten.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

import msgspec
from pydantic import Field

from worker.config.secrets import Secret
from worker.core.errors import AuthError
from worker.http.auth import AuthDeps, KeptSecret
from worker.http.auth.renewable import Issued, Renewable
from worker.http.auth.tokens import Grant, TokenConfig, TokenEndpoint

T = TypeVar("T")

TOKEN: Final = "refresh_token"  # noqa: S105  # the name of a field, and no token
ORIGIN: Final = "of"
"""The key of what is kept that says which token of the config it came from: its digest."""
REMEDY: Final = (
    "get a new refresh token and put it into source.auth.refresh_token; check client_id, "
    "client_secret and client_auth too"
)


class Config(TokenConfig):
    """A token for a refresh token, which the endpoint may replace (RFC 6749, 6)."""

    type: Literal["oauth2_refresh_token"] = Field(description="kind of credentials")
    refresh_token: Secret = Field(
        description=(
            "the first refresh token: a literal or a reference to a secret; those that the "
            "endpoint replaces it with are kept in the state"
        )
    )


def build(config: Config, deps: AuthDeps) -> Renewable:
    tokens = RefreshTokens(config, deps)
    return Renewable(tokens.ask, deps.clock)


class RefreshTokens:
    """The refresh token that is in force, and what it is exchanged for."""

    def __init__(self, config: Config, deps: AuthDeps) -> None:
        self._endpoint = TokenEndpoint(config, deps, keys="client_id, client_secret")
        self._configured = deps.reading(config.refresh_token)
        self._kept: KeptSecret = deps.kept(_name(config, deps))
        self._unkept = ""  # it came and could not be kept yet

    async def ask(self, now: float) -> Issued:
        """An access token; whoever cancels it waits for the answer, which may hold the next
        refresh token.
        """
        return await _unbroken(lambda: self._ask(now))

    async def _ask(self, now: float) -> Issued:
        async with self._kept.locked():
            configured = self._configured()
            origin = hashlib.sha256(configured.encode()).hexdigest()
            if self._unkept:
                await self._keep(self._unkept, origin)
            kept = await self._kept.read()
            token = kept.get(TOKEN, "") if kept.get(ORIGIN) == origin else ""
            used = token or configured
            form = {"grant_type": "refresh_token", "refresh_token": used}
            try:
                answer = await self._endpoint.ask(Grant(form, (used,)), now)
            except AuthError as error:
                error.remedy = REMEDY
                raise
            following = answer.document.get("refresh_token")
            if isinstance(following, str) and following and following != used:
                await self._keep(following, origin)
            return answer.issued

    async def _keep(self, token: str, origin: str) -> None:
        self._unkept = token
        await self._kept.write({TOKEN: token, ORIGIN: origin})
        self._unkept = ""


def _name(config: Config, deps: AuthDeps) -> str:
    """The same for the same credential: for its endpoint, client and reference, in a partition."""
    parts = (
        config.token_url,
        _text(config.client_id),
        _text(config.refresh_token),
        sorted(deps.values.items()),
    )
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]


def _text(secret: Secret) -> str:
    """A reference as it is written; of a literal, a digest."""
    if isinstance(secret, str):
        return hashlib.sha256(secret.encode()).hexdigest()
    return secret.model_dump_json(exclude_none=True, exclude={"ttl"})


async def _unbroken(work: Callable[[], Awaitable[T]]) -> T:
    """The result of work that ends though it is cancelled; the cancellation waits for it."""
    task = asyncio.ensure_future(work())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue
        if not task.cancelled():
            task.exception()  # seen: the cancellation is what is raised
        raise
