"""Positions are kept in the state and shown to operators, so none may hold a credential. Pure.

A source may put what it was sent into its page token or next link. A secret that is a query
parameter is taken out of links (`url_stripper`); one that was sent in a header is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from worker.core.errors import PermanentError
from worker.core.model import Facts
from worker.http.redact import credentials_in, echoes
from worker.sources.http_config import HttpConfig

if TYPE_CHECKING:
    from worker.http.client import Response

ECHO_CHARS: Final = 8
"""Shorter secrets are not looked for, because they occur in any token by chance."""
ECHO_REMEDY: Final = (
    "it would be kept in the state; a credential that is a query parameter of links is given as "
    "auth: {type: api_key, in: query, name: ...}"
)


def position_headers(config: HttpConfig) -> frozenset[str]:
    """Names of the response headers from which positions, marks and totals are read."""
    parts = (config.pagination, config.incremental)
    dumped = [part.model_dump(mode="json", by_alias=True) for part in parts if part is not None]
    return frozenset({"Link", *_header_names(dumped)})


def refuse_echo(response: Response, facts: Facts, headers: frozenset[str]) -> None:
    """Raises PermanentError for a page whose positions hold a secret of the request's headers.

    Args:
        headers: the `position_headers` of the source.
    """
    sent = credentials_in(response.credentials, {})
    secrets = [secret for secret in sent if len(secret) >= ECHO_CHARS]
    if secrets and echoes(_positions(response, facts, headers), secrets):
        raise PermanentError(
            "the source puts the credential of the request into its page token or next link",
            remedy=ECHO_REMEDY,
        )


def _positions(response: Response, facts: Facts, headers: frozenset[str]) -> Iterator[str]:
    """The texts of a page that may become a position."""
    yield from (response.headers[name] for name in headers if name in response.headers)
    for value in (*facts.body.values(), *facts.last.values()):
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | dict):
            yield msgspec.json.encode(value).decode()


def _header_names(config: Any) -> Iterator[str]:
    """The values of all keys `header` in a dumped config."""
    for key, value in config.items() if isinstance(config, dict) else enumerate(config):
        if key == "header" and isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            yield from _header_names(value)
