"""Credentials of sources and registries, made of their configs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from worker import __version__
from worker.components import AUTH
from worker.config.models import secrets_of
from worker.config.secrets import SecretRef, credential, secret_value
from worker.core.model import Request
from worker.core.ports import Clock
from worker.core.urls import origin_of
from worker.http.auth import Auth, AuthConfig, AuthDeps, Fetch, KeptSecret
from worker.http.auth.cookies import KeptCookies
from worker.http.auth.several import Several
from worker.http.body import BodyLimits
from worker.http.client import HttpClient, Response, Timeouts
from worker.http.headers import REDIRECTS
from worker.http.tls import tls_of
from worker.sources.http_config import HttpConfig
from worker.state.kept_secrets import KeptSecretFile

ENDPOINT_BYTES: Final = 256 * 1024
"""What an endpoint for credentials may answer."""
ENDPOINT_CONNECTIONS: Final = 4

Values = Mapping[str, str]


class Credentials:
    """The credentials of a run: one for each config and each secret, whoever uses them.

    So a token is asked for once by all pipelines and partitions that need it. Their clients are
    open until the stack closes.

    Args:
        state: the directory where secrets are kept that change while they are used.
        spool: the directory of large bodies.
    """

    def __init__(self, stack: AsyncExitStack, clock: Clock, *, state: Path, spool: Path) -> None:
        self._stack, self._clock = stack, clock
        self._state, self._spool = state, spool
        self._shared: dict[tuple[str, ...], Auth] = {}

    def of(self, source: HttpConfig) -> Callable[[Values], Auth | None]:
        """What makes the credentials of each partition of a source."""
        kinds = source.credentials
        if not kinds and source.cookies == "drop":
            return lambda values: None
        placeholders = sorted({name for each in kinds for name in _placeholders(each)})
        keys = (*(each.model_dump_json() for each in kinds), *_of_connections(source))

        def auth(values: Values) -> Auth:
            used = {name: values[name] for name in placeholders}
            key = (*keys, *used.values())
            if key not in self._shared:
                self._shared[key] = self._made(source, used)
            return self._shared[key]

        return auth

    def _made(self, source: HttpConfig, values: Values) -> Auth:
        cookies = KeptCookies() if source.cookies == "keep" else None

        def fetch_from(url: str) -> Fetch:
            return _EndpointClient(self._stack, source, url, self._spool, cookies)

        def kept(name: str) -> KeptSecret:
            return KeptSecretFile(self._state, name, self._clock)

        deps = AuthDeps(values, self._clock, fetch_from, kept)
        made = [AUTH.load(each.type).build(each, deps) for each in source.credentials]
        every: list[Auth] = [*made, *([cookies] if cookies is not None else [])]
        return every[0] if len(every) == 1 else Several(every)


def _of_connections(source: HttpConfig) -> tuple[str, ...]:
    """What else two sources have in common that share credentials: how endpoints are reached, and
    whose cookies are kept.
    """
    jar = origin_of(source.url) if source.cookies == "keep" else ""
    return (source.timeout.model_dump_json(), source.tls.model_dump_json(), jar)


class _EndpointClient:
    """Sends requests to an endpoint for credentials (see `Fetch`); the first opens its client."""

    def __init__(
        self,
        stack: AsyncExitStack,
        source: HttpConfig,
        url: str,
        spool: Path,
        cookies: KeptCookies | None,
    ) -> None:
        self._stack, self._source, self._url = stack, source, url
        self._spool, self._cookies = spool, cookies
        self._client: HttpClient | None = None

    async def __call__(self, request: Request, *, follow: bool = True) -> Response:
        if self._client is None:
            self._client = await self._stack.enter_async_context(self._made())
        if follow:
            answer = await self._client.fetch(request)
        else:
            answer = await self._client.fetch(request, doubtful=REDIRECTS, stays=lambda each: True)
        if self._cookies is not None:
            self._cookies.answered(answer)
        return answer

    def _made(self) -> HttpClient:
        timeout = self._source.timeout
        return HttpClient(
            origin_of(self._url),
            user_agent=f"worker/{__version__}",
            timeouts=Timeouts(timeout.connect, timeout.read, timeout.total),
            limits=BodyLimits(ENDPOINT_BYTES, ENDPOINT_BYTES),
            connections=ENDPOINT_CONNECTIONS,
            spool=self._spool,
            tls=tls_of(self._source.tls, "source.tls"),
            repeats=False,
        )


def registry_auth(config: AuthConfig | None, clock: Clock) -> Auth | None:
    """The credentials for a registry."""
    if config is None:
        return None
    auth: Auth = AUTH.load(config.type).build(config, AuthDeps({}, clock, _no_endpoint))
    return auth


def _no_endpoint(url: str) -> Fetch:
    raise AssertionError("the credentials of a registry are not asked for")


def check_secrets(kinds: Iterable[AuthConfig], values: Values) -> None:
    """Raises ConfigError for a secret that is missing, or that no header can carry."""
    for config in kinds:
        sent = {path for path, _ in secrets_of(config, unsent=False)}
        for path, secret in secrets_of(config):
            read = credential if path in sent else secret_value
            read(secret, values)


def _placeholders(config: AuthConfig) -> list[str]:
    """Names in `{partition.name}` of references to secrets."""
    texts = [
        text
        for _, secret in secrets_of(config)
        if isinstance(secret, SecretRef)
        for text in secret.texts
    ]
    return re.findall(r"\{partition\.([^{}]*)\}", " ".join(texts))
