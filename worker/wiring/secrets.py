"""Secrets of a source: references become functions that read them anew each time they are used, so that they may be rotated."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from worker import __version__
from worker.config.decode import RegistryConfig
from worker.config.files import open_file
from worker.config.secrets import Secret, credential, secret_value
from worker.core.errors import ConfigError
from worker.core.ports import Clock
from worker.http import auth as http_auth
from worker.http.auth import Auth
from worker.http.body import BodyLimits
from worker.http.client import HttpClient, Timeouts
from worker.http.oauth2 import ClientCredentials
from worker.sources.http_config import (
    ApiKeyAuth,
    BasicAuth,
    BearerAuth,
    HttpConfig,
    OAuth2ClientCredentials,
    TlsConfig,
)

TOKEN_BYTES: Final = 256 * 1024
"""What a token endpoint may answer."""

Values = Mapping[str, str]


def reading(secret: Secret, values: Values) -> Callable[[], str]:
    """A function that reads the secret."""
    return lambda: secret_value(secret, values)


async def open_auth(
    stack: AsyncExitStack, source: HttpConfig, *, spool: Path, clock: Clock
) -> Callable[[Values], Auth | None]:
    """What makes the credentials of each partition; partitions with the same client share its token. Open until the stack closes."""
    config = source.auth
    if not isinstance(config, OAuth2ClientCredentials):
        return lambda values: _static_auth(config, values)
    client = await stack.enter_async_context(
        HttpClient(
            "{0.scheme}://{0.netloc}".format(urlsplit(config.token_url)),
            user_agent=f"worker/{__version__}",
            timeouts=Timeouts(source.timeout.connect, source.timeout.read, source.timeout.total),
            limits=BodyLimits(TOKEN_BYTES, TOKEN_BYTES),
            connections=4,
            spool=spool,
            tls=tls_of(source.tls, "source.tls"),
            hash_bodies=False,
        )
    )
    placeholders = sorted(
        {
            name
            for secret in (config.client_id, config.client_secret)
            for name in _placeholders(secret)
        }
    )
    shared: dict[tuple[str, ...], Auth] = {}

    def auth(values: Values) -> Auth:
        key = tuple(values[name] for name in placeholders)
        if key not in shared:
            shared[key] = ClientCredentials(
                client.fetch,
                clock,
                token_url=config.token_url,
                client_id=reading(config.client_id, values),
                client_secret=reading(config.client_secret, values),
                scope=config.scope,
                refresh_before_s=config.refresh_before,
                client_auth=config.client_auth,
            )
        return shared[key]

    return auth


def _static_auth(config: BasicAuth | BearerAuth | ApiKeyAuth | None, values: Values) -> Auth | None:
    if config is None:
        return None
    if isinstance(config, BasicAuth):
        return http_auth.basic(reading(config.username, values), reading(config.password, values))
    if isinstance(config, ApiKeyAuth):
        return http_auth.api_key(
            config.name, config.in_, reading(config.value, values), config.prefix
        )
    return http_auth.bearer(reading(config.token, values))


def _placeholders(secret: Secret) -> list[str]:
    """Names in `{partition.name}` of a reference."""
    return (
        []
        if isinstance(secret, str)
        else re.findall(r"\{partition\.([^{}]*)\}", " ".join(secret.texts))
    )


def secret_params(source: HttpConfig) -> tuple[str, ...]:
    """Query parameters that carry a secret; they are never stored."""
    config = source.auth
    return (config.name,) if isinstance(config, ApiKeyAuth) and config.in_ == "query" else ()


def check_secrets(source: HttpConfig, values: Values) -> None:
    """Raises ConfigError for a secret that is missing, or that no header can carry."""
    for name in ("username", "password", "token", "value", "client_id", "client_secret"):
        if source.auth is not None and hasattr(source.auth, name):
            credential(getattr(source.auth, name), values)


def registry_auth(server: RegistryConfig) -> Auth | None:
    """The credentials for a registry."""
    return _static_auth(server.auth, {})


def check_registry(server: RegistryConfig) -> None:
    """Raises ConfigError for a secret that is missing, or that no header can carry."""
    for name in ("username", "password", "token"):
        if server.auth is not None and hasattr(server.auth, name):
            credential(getattr(server.auth, name), {})


def tls_of(config: TlsConfig, where: str = "") -> ssl.SSLContext | bool:
    """The TLS settings; True: those of the system. Raises ConfigError, whose place is the key `where` of the pipeline."""
    if config.ca_file is None and config.cert_file is None:
        return True
    try:
        for path in (config.ca_file, config.cert_file, config.key_file):
            if path is not None:
                with open_file(path):
                    pass
        context = ssl.create_default_context(cafile=config.ca_file)
        if config.cert_file is not None:
            context.load_cert_chain(
                config.cert_file, config.key_file, password=""
            )  # a key with one is refused: else OpenSSL asks the terminal
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the certificates cannot be used: {error}",
            where=where,
            remedy="they are PEM files, a key belongs to its certificate and has no password",
        ) from error
    return context
