"""The settings of the polled HTTP source, one module for each idea. Light: imported by `check`, not by `--help`."""

from worker.config.scalars import Url
from worker.sources.http_config.credentials import (
    ApiKeyAuth,
    BasicAuth,
    BearerAuth,
    OAuth2ClientCredentials,
    OriginConfig,
)
from worker.sources.http_config.guards import RetryConfig, TlsConfig
from worker.sources.http_config.source import HttpConfig

__all__ = [
    "ApiKeyAuth",
    "BasicAuth",
    "BearerAuth",
    "HttpConfig",
    "OAuth2ClientCredentials",
    "OriginConfig",
    "RetryConfig",
    "TlsConfig",
    "Url",
]
