"""Credentials of sources and registries, made of their configs."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from worker import __version__
from worker.components import AUTH
from worker.config.models import secrets_of
from worker.config.secrets import (
    Secret,
    SecretRef,
    credential,
    is_fit,
    placeholders_in,
    secret_value,
)
from worker.core.errors import PermanentError
from worker.core.model import Request
from worker.core.ports import Clock
from worker.core.urls import origin_of
from worker.http.auth import Auth, AuthConfig, AuthDeps, Fetch, KeptSecret, StaticAuth
from worker.http.auth.cookies import KeptCookies
from worker.http.auth.refreshed import Refreshed, Unfit
from worker.http.auth.several import Several
from worker.http.body import BodyLimits
from worker.http.client import HttpClient, Response, Timeouts
from worker.http.headers import REDIRECTS
from worker.http.proxy import ProxyConfig, Route, Via, route_of
from worker.http.tls import tls_of
from worker.secrets.store import SecretStore, check_installed
from worker.settings import PipelineSettings
from worker.sources.http_config import HttpConfig
from worker.state.kept_secrets import KeptSecretFile

ENDPOINT_BYTES: Final = 256 * 1024
"""What an endpoint for credentials may answer."""
ENDPOINT_CONNECTIONS: Final = 4
NOT_READ: Final = "not read"
"""What stands for a secret that is not asked for."""

Values = Mapping[str, str]


class Credentials:
    """The credentials of a run: one for each config and each secret, whoever uses them.

    So a token is asked for once by all pipelines and partitions that need it. Their clients are
    open until the stack closes.

    Args:
        state: the directory where secrets are kept that change while they are used.
        spool: the directory of large bodies.
    """

    def __init__(
        self, stack: AsyncExitStack, secrets: SecretStore, clock: Clock, *, state: Path, spool: Path
    ) -> None:
        self._stack, self._secrets, self._clock = stack, secrets, clock
        self._state, self._spool = state, spool
        self._shared: dict[tuple[str, ...], Auth] = {}

    def of(
        self, source: HttpConfig, *, found: Container[str] = ()
    ) -> Callable[[Values], Auth | None]:
        """What makes the credentials of each partition of a source.

        Args:
            found: the names of partitions whose values somebody else has written.
        """
        references = [each for _, each in source.secrets() if isinstance(each, SecretRef)]
        if not source.credentials and not references and source.cookies == "drop":
            return lambda values: None
        names = placeholders_in(references)
        keys = (source.credential, *_of_connections(source))

        def auth(values: Values) -> Auth:
            for name in names:
                if name in found and not is_fit(values[name]):
                    return Unfit(_unfit_value(name))
            used = {name: values[name] for name in names}
            key = (*keys, *used.values())
            if key not in self._shared:
                made = self._made(source, used)
                self._shared[key] = _refreshed(made, references, used, self._secrets)
            return self._shared[key]

        return auth

    def _made(self, source: HttpConfig, values: Values) -> Auth:
        cookies = KeptCookies() if source.cookies == "keep" else None

        def fetch_from(url: str) -> Fetch:
            proxy = route_to(source, self._secrets)
            return _EndpointClient(self._stack, source, url, self._spool, cookies, proxy)

        def kept(name: str) -> KeptSecret:
            return KeptSecretFile(self._state, name, self._clock)

        deps = AuthDeps(values, self._clock, fetch_from, kept, self._secrets.read)
        # what others sign comes first: the whole URL, and the headers and parameters of the config
        kinds = sorted(source.credentials, key=lambda each: not each.url_secrets)
        made = [AUTH.load(each.type).build(each, deps) for each in kinds]
        first = sum(bool(each.url_secrets) for each in kinds)
        every: list[Auth] = [
            *made[:first],
            *_of_requests(source, deps),
            *made[first:],
            *([cookies] if cookies is not None else []),
        ]
        return every[0] if len(every) == 1 else Several(every)


def _unfit_value(name: str) -> PermanentError:
    return PermanentError(
        f"the value of partition.{name} was found, and is none that may name a secret",
        remedy="it begins with a letter or digit and has letters, digits, ., _ and - only, 128 at "
        "most; give such a partition a secret without the placeholder",
    )


def _of_connections(source: HttpConfig) -> tuple[str, ...]:
    """What else two sources have in common that share credentials: how endpoints are reached, and
    whose cookies are kept.
    """
    jar = origin_of(source.url) if source.cookies == "keep" else ""
    proxy = source.proxy if isinstance(source.proxy, str) else source.proxy.model_dump_json()
    return (source.timeout.model_dump_json(), source.tls.model_dump_json(), proxy, jar)


def _of_requests(source: HttpConfig, deps: AuthDeps) -> Iterator[Auth]:
    """The secrets of `headers` and `params`."""
    headers, params = (_readers(values, deps) for values in (source.headers, source.params))
    if headers or params:
        yield StaticAuth(partial(_read_all, headers), partial(_read_all, params))


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


class _EndpointClient:
    """Sends requests to an endpoint for credentials (see `Fetch`); the first opens its client."""

    def __init__(
        self,
        stack: AsyncExitStack,
        source: HttpConfig,
        url: str,
        spool: Path,
        cookies: KeptCookies | None,
        proxy: Route | None,
    ) -> None:
        self._stack, self._source, self._url = stack, source, url
        self._spool, self._cookies, self._proxy = spool, cookies, proxy
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
            proxy=self._proxy,
            repeats=False,
        )


def registry_auth(config: AuthConfig | None, secrets: SecretStore, clock: Clock) -> Auth | None:
    """The credentials for a registry."""
    if config is None:
        return None
    deps = AuthDeps({}, clock, _no_endpoint, read=secrets.read)
    references = [each for _, each in secrets_of(config) if isinstance(each, SecretRef)]
    return _refreshed(AUTH.load(config.type).build(config, deps), references, {}, secrets)


def _no_endpoint(url: str) -> Fetch:
    raise AssertionError("the credentials of a registry are not asked for")


def check_secrets(source: HttpConfig, values: Values, environ: Mapping[str, str]) -> None:
    """Raises ConfigError for a secret that is missing, or that no header can carry.

    Nobody is asked for one; it is said where that could not be done.
    """
    for each in source.credentials:
        _check_secrets_of(each, values, environ)
    given = (*source.params.values(), *source.headers.values())
    for secret in (*(each for each in given if isinstance(each, SecretRef)), *_of_proxy(source)):
        _check(secret, values, environ, sent=True)


def check_registry_secrets(config: AuthConfig | None, environ: Mapping[str, str]) -> None:
    """The same for the credentials of a registry."""
    if config is not None:
        _check_secrets_of(config, {}, environ)


def _check_secrets_of(config: AuthConfig, values: Values, environ: Mapping[str, str]) -> None:
    sent = {path for path, _ in secrets_of(config, unsent=False)}
    for path, secret in secrets_of(config):
        _check(secret, values, environ, sent=path in sent)


def _check(secret: Secret, values: Values, environ: Mapping[str, str], *, sent: bool) -> None:
    if isinstance(secret, SecretRef) and secret.remote:
        check_installed(secret)
    elif sent:
        credential(secret, values, environ)
    else:
        secret_value(secret, values, environ)


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
) -> Iterator[tuple[tuple[int, str], SecretRef]]:
    """((number of the step, key), reference) of every reference to a secret in a step."""
    for number, (_, step) in enumerate(config.transforms):
        for path, secret in secrets_of(step) if isinstance(step, BaseModel) else ():
            if isinstance(secret, SecretRef):
                yield (number, str(path[0])), secret
