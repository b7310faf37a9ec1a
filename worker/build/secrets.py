"""Secrets of a source: references become functions that read them anew each time they are used, so that they may be rotated."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping

from worker.config.types import Secret, secret_value
from worker.core.errors import ConfigError
from worker.http import auth as http_auth
from worker.sources.http_config import ApiKeyAuth, BasicAuth, BearerAuth, HttpConfig, TlsConfig

Values = Mapping[str, str]


def reading(secret: Secret, values: Values) -> Callable[[], str]:
    """A function that reads the secret."""
    return lambda: secret_value(secret, values)


def auth_of(source: HttpConfig, values: Values) -> http_auth.StaticAuth | None:
    """The credentials of a source, for a partition."""
    config = source.auth
    if config is None:
        return None
    if isinstance(config, BasicAuth):
        return http_auth.basic(reading(config.username, values), reading(config.password, values))
    if isinstance(config, ApiKeyAuth):
        return http_auth.api_key(config.name, config.in_, reading(config.value, values), config.prefix)
    assert isinstance(config, BearerAuth)  # settings.py refuses what is not built
    return http_auth.bearer(reading(config.token, values))


def check_secrets(source: HttpConfig, values: Values) -> None:
    """Raises ConfigError for a secret that is missing."""
    for name in ("username", "password", "token", "value"):
        if source.auth is not None and hasattr(source.auth, name):
            secret_value(getattr(source.auth, name), values)


def tls_of(config: TlsConfig) -> ssl.SSLContext | bool:
    """The TLS settings; True: those of the system. Raises ConfigError."""
    if config.ca_file is None and config.cert_file is None:
        return True
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
        if config.cert_file is not None:
            context.load_cert_chain(config.cert_file, config.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"source.tls: {error}", remedy="check the certificate files") from error
    return context
