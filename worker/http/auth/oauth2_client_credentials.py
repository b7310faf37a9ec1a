"""`oauth2_client_credentials`: OAuth 2 client credentials (RFC 6749, 4.4).

A token is renewed before it expires; other requests use the old one meanwhile, and all do until it
expires when the endpoint is down. Messages never carry the secret or a token, even when the
endpoint repeats them.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import quote_plus, urlencode

import msgspec
from pydantic import Field

from worker.config.scalars import Duration, Url, unit_field
from worker.config.secrets import Secret
from worker.core.errors import AuthError, BadBody, PermanentError, TransientError, WorkerError
from worker.core.model import Request
from worker.core.ports import Clock
from worker.http.auth import Answer, AuthConfig, AuthDeps, Fetch
from worker.http.redact import LEAST_CHARS, redact
from worker.http.retry_after import retry_after

TRY_AGAIN_S: Final = 10.0
"""The time until the next try when the renewal of a token failed that is still valid."""
RENEWALS_APART_S: Final = 30.0
"""A token that is refused within this time after a renewal is not renewed, which did not help."""
LONGEST_RETRY_AFTER_S: Final = 600.0
LONGEST_S: Final = 10 * 365 * 86_400.0
"""The life of a token whose endpoint does not name one: it is used until it is refused."""
SAID_CHARS: Final = 200

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}")
_TRANSIENT: Final = frozenset({408, 425, 429})
_REFUSED: Final = frozenset({400, 401, 403})


class Config(AuthConfig):
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

    @property
    def endpoints(self) -> tuple[str, ...]:
        return (self.token_url,)


def build(config: Config, deps: AuthDeps) -> ClientCredentials:
    return ClientCredentials(
        deps.fetch_from(config.token_url),
        deps.clock,
        token_url=config.token_url,
        client_id=deps.reading(config.client_id),
        client_secret=deps.reading(config.client_secret),
        scope=config.scope,
        refresh_before_s=config.refresh_before,
        client_auth=config.client_auth,
    )


@dataclass(frozen=True, slots=True)
class _Token:
    """An access token.

    Attributes:
        header: the value of the Authorization header (RFC 6750, 2.1).
        refresh_at: when it is to be renewed, in monotonic seconds.
        expires_at: when it is no longer valid, in monotonic seconds.
    """

    header: str
    refresh_at: float
    expires_at: float

    def serves(self, now: float, is_being_renewed: bool) -> bool:
        """Whether it may be sent without asking for another one."""
        return now < self.refresh_at or (is_being_renewed and now < self.expires_at)

    def __repr__(self) -> str:
        return f"<token refresh_at={self.refresh_at:.0f} expires_at={self.expires_at:.0f}>"


class ClientCredentials:
    """An Auth (see worker/http/auth/__init__.py) whose header changes.

    Args:
        fetch: sends a request to the token endpoint: `HttpClient.fetch` of a client of its origin.
        refresh_before_s: how long before it expires a token is renewed; at most half of its life.
        client_auth: `basic`, or `body` for endpoints that want the secret as a form field.
    """

    def __init__(
        self,
        fetch: Fetch,
        clock: Clock,
        *,
        token_url: str,
        client_id: Callable[[], str],
        client_secret: Callable[[], str],
        scope: str = "",
        refresh_before_s: float = 60.0,
        client_auth: str = "basic",
    ) -> None:
        self._fetch, self._clock = fetch, clock
        self._token_url, self._scope = token_url, scope
        self._client_id, self._client_secret = client_id, client_secret
        self._refresh_before_s, self._client_auth = refresh_before_s, client_auth
        self._asking = asyncio.Lock()
        self._failures = 0
        self._failure: WorkerError | None = None  # the last one, until a token comes
        self._token: _Token | None = None
        self._renewed_at: float | None = None

    def __repr__(self) -> str:
        return f"<ClientCredentials {self._where()} {self._token}>"

    async def headers(self) -> dict[str, str]:
        """The header with a token.

        Raises AuthError when the endpoint refuses the client, TransientError when it may answer
        later, PermanentError for an answer without a bearer token.
        """
        return {"Authorization": (await self._current()).header}

    async def params(self) -> dict[str, str]:
        return {}

    def renew(self, sent: Mapping[str, str]) -> bool:
        if "Authorization" not in sent:
            return False  # the request went where credentials are never sent
        now, token = self._clock.monotonic(), self._token
        if token is None or sent["Authorization"] != token.header:
            return True  # another one is there, or is being asked for
        if self._renewed_at is not None and now - self._renewed_at < RENEWALS_APART_S:
            return False
        self._token, self._renewed_at = None, now
        return True

    async def _current(self) -> _Token:
        """A token that is fresh, or still valid while another task renews it."""
        token, failures = self._token, self._failures
        if token is not None and token.serves(self._clock.monotonic(), self._asking.locked()):
            return token
        async with self._asking:
            now, token = self._clock.monotonic(), self._token
            if token is not None and now < token.refresh_at:
                return token
            if self._failures != failures and self._failure is not None:
                # whoever waited for an answer has it, and does not ask once more
                raise copy(self._failure) from self._failure
            return await self._renewed(token, now)

    async def _renewed(self, old: _Token | None, now: float) -> _Token:
        """A new token, or the old one for a while longer when there is no new one."""
        try:
            fresh = await self._ask(now)
        except WorkerError as error:
            if old is None or now >= old.expires_at:
                self._token, self._failure, self._failures = None, error, self._failures + 1
                raise
            fresh = replace(old, refresh_at=min(now + TRY_AGAIN_S, old.expires_at))
        self._token, self._failure = fresh, None
        return fresh

    async def _ask(self, now: float) -> _Token:
        """One request to the token endpoint. Raises as `headers` does."""
        client_id, secret = self._client_id(), self._client_secret()
        basic = base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()
        try:
            response = await self._fetch(self._request(client_id, secret, basic))
        except WorkerError as error:
            # it names the place that a redirect leads to, which may repeat what was sent
            hidden = [each for each in (secret, basic) if len(each) >= LEAST_CHARS]
            error.message, error.where = redact(error.message, hidden), redact(error.where, hidden)
            raise
        document = _document(response)
        said = _said(document, (secret, quote_plus(secret), basic))
        self._check_status(response, said)
        return self._token_of(document, said, now)

    def _request(self, client_id: str, secret: str, basic: str) -> Request:
        """A token request (RFC 6749, 4.4.2), with the client's credentials as 2.3.1 has them."""
        form = {"grant_type": "client_credentials"}
        if self._scope:
            form["scope"] = self._scope
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        if self._client_auth == "basic":
            headers["Authorization"] = f"Basic {basic}"
        else:
            form |= {"client_id": client_id, "client_secret": secret}
        body = urlencode(form).encode()
        return Request("POST", self._token_url, headers=tuple(headers.items()), body=body)

    def _token_of(self, document: Any, said: str, now: float) -> _Token:
        """The token of a successful answer (RFC 6749, 5.1)."""
        where = self._where()
        if not isinstance(document, dict):
            raise BadBody("the token endpoint sent no JSON object", where=where)
        value, kind = document.get("access_token"), document.get("token_type", "Bearer")
        if not isinstance(value, str) or not _TOKEN.fullmatch(value):
            raise AuthError(
                f"the token endpoint sent no access_token{said}",
                where=where,
                remedy="check source.auth",
            )
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise PermanentError(
                "the token endpoint sent a token that is no bearer token",
                where=where,
                remedy="ask for bearer tokens",
            )
        life_s = _seconds(document.get("expires_in"))
        return _Token(
            header=f"Bearer {value}",
            refresh_at=now + life_s - min(self._refresh_before_s, life_s / 2),
            expires_at=now + life_s,
        )

    def _check_status(self, response: Answer, said: str) -> None:
        status, where = response.status, self._where()
        if 200 <= status < 300:
            return
        message = f"the token endpoint answered {status}{said}"
        if status in _REFUSED:
            raise AuthError(
                message,
                where=where,
                remedy="check client_id, client_secret, scope and client_auth in source.auth",
            )
        if status >= 500 or status in _TRANSIENT:
            wait_s = retry_after(response.headers, max_s=LONGEST_RETRY_AFTER_S)
            raise TransientError(message, retry_after_s=wait_s, where=where)
        raise PermanentError(message, where=where, remedy="check source.auth.token_url")

    def _where(self) -> str:
        return self._token_url.partition("?")[0]


def _document(response: Answer) -> Any:
    try:
        return msgspec.json.decode(bytes(response.body))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _said(document: Any, secrets: tuple[str, ...]) -> str:
    """`error` and `error_description` of an answer (RFC 6749, 5.2), without repeated secrets."""
    found = (
        [document.get(name) for name in ("error", "error_description")]
        if isinstance(document, dict)
        else []
    )
    text = ": ".join(each for each in found if isinstance(each, str))
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return f", saying {text[:SAID_CHARS]!r}" if text else ""


def _seconds(expires_in: Any) -> float:
    """A lifetime as endpoints write it; `LONGEST_S` where they do not."""
    if isinstance(expires_in, str) and re.fullmatch(r"\d{1,10}", expires_in, re.ASCII):
        expires_in = int(expires_in)
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return LONGEST_S
    return float(max(1.0, min(expires_in, LONGEST_S)))
