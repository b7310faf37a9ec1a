"""Credentials, attached at send time by the client, to the configured origin only."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Protocol

Secret = Callable[[], str]


class Auth(Protocol):
    """One way to prove who we are."""

    secret_params: tuple[str, ...]  # query parameters that carry a secret; they are never stored

    async def headers(self) -> dict[str, str]:
        """Headers to send with each request."""

    async def params(self) -> dict[str, str]:
        """Query parameters to send with each request."""

    def renew(self, sent: Mapping[str, str]) -> bool:
        """Whether other credentials are there, or can be had, after the server refused these headers.

        `sent` is empty when the request went to an origin that gets no credentials.
        """


class StaticAuth:
    """basic, bearer and api_key: what is sent does not change by itself; secrets are read anew each time, so they may be rotated."""

    def __init__(
        self,
        headers: Callable[[], dict[str, str]] = dict,
        params: Callable[[], dict[str, str]] = dict,
        secret_params: tuple[str, ...] = (),
    ) -> None:
        self._headers, self._params, self.secret_params = headers, params, secret_params

    async def headers(self) -> dict[str, str]:
        return self._headers()

    async def params(self) -> dict[str, str]:
        return self._params()

    def renew(self, sent: Mapping[str, str]) -> bool:
        return False


def basic(username: Secret, password: Secret) -> StaticAuth:
    def headers() -> dict[str, str]:
        return {
            "Authorization": "Basic "
            + base64.b64encode(f"{username()}:{password()}".encode()).decode()
        }

    return StaticAuth(headers)


def bearer(token: Secret) -> StaticAuth:
    return StaticAuth(lambda: {"Authorization": f"Bearer {token()}"})


def api_key(name: str, where: str, value: Secret, prefix: str = "") -> StaticAuth:
    """`where` is header, query or cookie."""
    if where == "query":
        return StaticAuth(params=lambda: {name: prefix + value()}, secret_params=(name,))
    if where == "cookie":
        return StaticAuth(lambda: {"Cookie": f"{name}={prefix}{value()}"})
    return StaticAuth(lambda: {name: prefix + value()})
