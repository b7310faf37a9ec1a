"""Credentials of sources and registries, made of their configs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from worker import __version__
from worker.components import AUTH
from worker.config.models import secrets_of
from worker.config.secrets import SecretRef, credential, reading
from worker.core.model import Request
from worker.core.ports import Clock
from worker.core.urls import origin_of
from worker.http.auth import Auth, AuthConfig, AuthDeps, Fetch, StaticAuth
from worker.http.auth.combined import Combined
from worker.http.body import BodyLimits
from worker.http.client import HttpClient, Response, Timeouts
from worker.http.proxy import ProxyConfig, Route, route_of
from worker.http.tls import tls_of
from worker.sources.http_config import HttpConfig

ENDPOINT_BYTES: Final = 256 * 1024
"""What an endpoint for credentials may answer."""
ENDPOINT_CONNECTIONS: Final = 4

Values = Mapping[str, str]


def open_auth(
    stack: AsyncExitStack, source: HttpConfig, *, spool: Path, clock: Clock
) -> Callable[[Values], Auth | None]:
    """What makes the credentials of each partition.

    Partitions whose secrets are the same share them. Their clients are open until the stack closes.
    """
    secrets = [secret for _, secret in source.secrets()]
    if source.auth is None and not secrets:
        return lambda values: None
    placeholders = _placeholders(secrets)
    shared: dict[tuple[str, ...], Auth] = {}

    def fetch_from(url: str) -> Fetch:
        return _fetch_from(stack, source, url, spool)

    def auth(values: Values) -> Auth:
        key = tuple(values[name] for name in placeholders)
        if key not in shared:
            shared[key] = _auth_of(source, AuthDeps(values, clock, fetch_from))
        return shared[key]

    return auth


def route_to(source: HttpConfig) -> Route | None:
    """What finds the proxy of each request. Raises ConfigError."""
    return route_of(source.proxy, lambda secret: reading(secret, {}))


def _auth_of(source: HttpConfig, deps: AuthDeps) -> Auth:
    """The credentials of a source: those of `auth`, and the secrets of `headers` and `params`."""
    parts: list[Auth] = []
    if source.auth is not None:
        parts.append(AUTH.load(source.auth.type).build(source.auth, deps))
    headers, params = (_readers(values, deps) for values in (source.headers, source.params))
    if headers or params:
        parts.append(StaticAuth(partial(_read_all, headers), partial(_read_all, params)))
    return parts[0] if len(parts) == 1 else Combined(parts)


def _readers(values: Mapping[str, Any], deps: AuthDeps) -> dict[str, Callable[[], str]]:
    """What reads those of the values that are references to secrets."""
    return {
        name: deps.reading(value) for name, value in values.items() if isinstance(value, SecretRef)
    }


def _read_all(readers: Mapping[str, Callable[[], str]]) -> dict[str, str]:
    return {name: read() for name, read in readers.items()}


def _fetch_from(stack: AsyncExitStack, source: HttpConfig, url: str, spool: Path) -> Fetch:
    """What sends requests to an endpoint for credentials; the first one opens its client."""
    client: HttpClient | None = None

    async def fetch(request: Request) -> Response:
        nonlocal client
        if client is None:
            client = HttpClient(
                origin_of(url),
                user_agent=f"worker/{__version__}",
                timeouts=Timeouts(
                    source.timeout.connect, source.timeout.read, source.timeout.total
                ),
                limits=BodyLimits(ENDPOINT_BYTES, ENDPOINT_BYTES),
                connections=ENDPOINT_CONNECTIONS,
                spool=spool,
                tls=tls_of(source.tls, "source.tls"),
                proxy=route_to(source),
                repeats=False,
            )
            await stack.enter_async_context(client)
        return await client.fetch(request)

    return fetch


def registry_auth(config: AuthConfig | None, clock: Clock) -> Auth | None:
    """The credentials for a registry."""
    if config is None:
        return None
    auth: Auth = AUTH.load(config.type).build(config, AuthDeps({}, clock, _no_endpoint))
    return auth


def _no_endpoint(url: str) -> Fetch:
    raise AssertionError("the credentials of a registry are not asked for")


def check_secrets(source: HttpConfig, values: Values) -> None:
    """Raises ConfigError for a secret that is missing, or that no header can carry."""
    for _, secret in source.secrets():
        credential(secret, values)
    if isinstance(source.proxy, ProxyConfig):
        for secret in source.proxy.secrets.values():
            credential(secret, {})


def check_registry_secrets(config: AuthConfig | None) -> None:
    """The same for the credentials of a registry."""
    for _, secret in secrets_of(config) if config is not None else ():
        credential(secret, {})


def _placeholders(secrets: Iterable[str | SecretRef]) -> list[str]:
    """Names in `{partition.name}` of references to secrets."""
    texts = [text for each in secrets if isinstance(each, SecretRef) for text in each.texts]
    return sorted(set(re.findall(r"\{partition\.([^{}]*)\}", " ".join(texts))))
