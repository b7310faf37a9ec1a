"""The settings of the polled HTTP source, one module for each idea. Light: imported by `check`, not by `--help`."""

from worker.sources.http_config.credentials import (
    ApiKeyAuth,
    BasicAuth,
    BearerAuth,
    OAuth2ClientCredentials,
    OriginConfig,
)
from worker.sources.http_config.guards import RetryConfig, TlsConfig
from worker.sources.http_config.incremental import ResponseToken
from worker.sources.http_config.source import HttpConfig
from worker.sources.http_config.texts import Url

__all__ = [
    "ApiKeyAuth",
    "BasicAuth",
    "BearerAuth",
    "HttpConfig",
    "OAuth2ClientCredentials",
    "OriginConfig",
    "ResponseToken",
    "RetryConfig",
    "TlsConfig",
    "Url",
]
