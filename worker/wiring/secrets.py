"""Credentials of sources and registries, made of their configs."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from worker import __version__
from worker.components import AUTH
from worker.config.models import secrets_of
from worker.config.secrets import Secret, SecretRef, credential, is_fit, placeholders_in
from worker.core.errors import PermanentError
from worker.core.model import Request
from worker.core.ports import Clock
from worker.core.urls import origin_of
from worker.http.auth import Auth, AuthConfig, AuthDeps, Fetch, StaticAuth
from worker.http.auth.combined import Combined
from worker.http.auth.refreshed import Refreshed, Unfit
from worker.http.body import BodyLimits
from worker.http.client import HttpClient, Response, Timeouts
from worker.http.proxy import ProxyConfig, Route, Via, route_of
from worker.http.tls import tls_of
from worker.secrets.store import SecretStore, check_installed
from worker.settings import PipelineSettings
from worker.sources.http_config import HttpConfig

ENDPOINT_BYTES: Final = 256 * 1024
"""What an endpoint for credentials may answer."""
ENDPOINT_CONNECTIONS: Final = 4
NOT_READ: Final = "not read"
"""What stands for a secret that is not asked for."""

Values = Mapping[str, str]


def open_auth(
    stack: AsyncExitStack,
    source: HttpConfig,
    secrets: SecretStore,
    *,
    spool: Path,
    clock: Clock,
    found: Container[str] = (),
) -> Callable[[Values], Auth | None]:
    """What makes the credentials of each partition.

    Partitions whose secrets are the same share them. Their clients are open until the stack closes.

    Args:
        found: the names of partitions whose values somebody else has written.
    """
    references = [each for _, each in source.secrets() if isinstance(each, SecretRef)]
    if source.auth is None and not references:
        return lambda values: None
    names = placeholders_in(references)
    shared: dict[tuple[str, ...], Auth] = {}

    def fetch_from(url: str) -> Fetch:
        return _fetch_from(stack, source, secrets, url, spool)

    def auth(values: Values) -> Auth:
        for name in names:
            if name in found and not is_fit(values[name]):
                return Unfit(_unfit_value(name))
        key = tuple(values[name] for name in names)
        if key not in shared:
            deps = AuthDeps(values, clock, fetch_from, secrets.read)
            shared[key] = _refreshed(_auth_of(source, deps), references, values, secrets)
        return shared[key]

    return auth


def _unfit_value(name: str) -> PermanentError:
    return PermanentError(
        f"the value of partition.{name} was found, and is none that may name a secret",
        remedy="it begins with a letter or digit and has letters, digits, ., _ and - only, 128 at "
        "most; give such a partition a secret without the placeholder",
    )


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


def _refreshed(
    auth: Auth, references: Iterable[SecretRef], values: Values, secrets: SecretStore
) -> Auth:
    """The same credentials, after those secrets are there for which somebody has to be asked."""
    remote = [each for each in references if each.remote]
    if not remote:
        return auth
    return Refreshed(
        auth, partial(secrets.refresh, remote, values), partial(secrets.forget, remote, values)
    )


def route_to(source: HttpConfig, secrets: SecretStore) -> Route | None:
    """What finds the proxy of each request. Raises ConfigError."""
    find = route_of(source.proxy, lambda secret: lambda: secrets.read(secret, {}))
    remote = [each for each in _of_proxy(source) if isinstance(each, SecretRef) and each.remote]
    if find is None or not remote:
        return find

    async def route(url: str) -> Via | None:
        await secrets.refresh(remote, {})
        return await find(url)

    return route


def _of_proxy(source: HttpConfig) -> Iterable[Secret]:
    return source.proxy.secrets.values() if isinstance(source.proxy, ProxyConfig) else ()


def _fetch_from(
    stack: AsyncExitStack, source: HttpConfig, secrets: SecretStore, url: str, spool: Path
) -> Fetch:
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
                proxy=route_to(source, secrets),
                repeats=False,
            )
            await stack.enter_async_context(client)
        return await client.fetch(request)

    return fetch


def registry_auth(config: AuthConfig | None, secrets: SecretStore, clock: Clock) -> Auth | None:
    """The credentials for a registry."""
    if config is None:
        return None
    deps = AuthDeps({}, clock, _no_endpoint, secrets.read)
    references = [each for _, each in secrets_of(config) if isinstance(each, SecretRef)]
    return _refreshed(AUTH.load(config.type).build(config, deps), references, {}, secrets)


def _no_endpoint(url: str) -> Fetch:
    raise AssertionError("the credentials of a registry are not asked for")


def check_secrets(source: HttpConfig, values: Values, environ: Mapping[str, str]) -> None:
    """Raises ConfigError for a secret that is missing, or that no header can carry.

    Nobody is asked for one; it is said where that could not be done.
    """
    for _, secret in source.secrets():
        _check(secret, values, environ)
    for secret in _of_proxy(source):
        _check(secret, {}, environ)


def check_registry_secrets(config: AuthConfig | None, environ: Mapping[str, str]) -> None:
    """The same for the credentials of a registry."""
    for _, secret in secrets_of(config) if config is not None else ():
        _check(secret, {}, environ)


def _check(secret: Secret, values: Values, environ: Mapping[str, str]) -> None:
    if isinstance(secret, SecretRef) and secret.remote:
        check_installed(secret)
    else:
        credential(secret, values, environ)


async def with_secrets_of_steps(config: PipelineSettings, secrets: SecretStore) -> PipelineSettings:
    """A pipeline whose steps have their secrets, which are the same for as long as it runs.

    Raises what `SecretStore.refresh` and `SecretStore.read` raise.
    """
    remote = [each for _, each in _references_in_steps(config) if each.remote]
    await secrets.refresh(remote, {})
    return steps_with(config, lambda secret: secrets.read(secret, {}))


def steps_with(config: PipelineSettings, read: Callable[[SecretRef], str]) -> PipelineSettings:
    """A pipeline in whose steps a text stands for each reference to a secret."""
    given = dict[int, dict[str, str]]()
    for (number, name), secret in _references_in_steps(config):
        given.setdefault(number, {})[name] = read(secret)
    if not given:
        return config
    steps = tuple(
        (verb, step.model_copy(update=given[number]) if number in given else step)
        for number, (verb, step) in enumerate(config.transforms)
    )
    return config.model_copy(update={"transforms": steps})


def _references_in_steps(
    config: PipelineSettings,
) -> Iterable[tuple[tuple[int, str], SecretRef]]:
    """((number of the step, key), reference) of every reference to a secret in a step."""
    for number, (_, step) in enumerate(config.transforms):
        for name, secret in secrets_of(step) if isinstance(step, BaseModel) else ():
            if isinstance(secret, SecretRef):
                yield (number, name), secret
