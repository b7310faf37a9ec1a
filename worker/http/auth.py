"""Credentials, which the client adds when it sends a request to the configured origin."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Protocol

Secret = Callable[[], str]


class Auth(Protocol):
    """One way to authenticate.

    Attributes:
        secret_params: the query parameters that carry a secret; they are never stored.
    """

    secret_params: tuple[str, ...]

    async def headers(self) -> dict[str, str]:
        """Headers to send; asked for before each request, and each hop of a redirect."""

    async def params(self) -> dict[str, str]:
        """Query parameters to send; asked for together with the headers."""

    def renew(self, sent: Mapping[str, str]) -> bool:
        """Whether other credentials are there, or can be had, after the server refused these.

        `sent` is empty when the request went to an origin that gets no credentials.
        """


class StaticAuth:
    """basic, bearer and api_key: what is sent does not change by itself.

    Secrets are read each time, so that they may be rotated.
    """

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
    """User name and password (RFC 7617)."""

    def headers() -> dict[str, str]:
        encoded = base64.b64encode(f"{username()}:{password()}".encode()).decode()
        return {"Authorization": f"Basic {encoded}"}

    return StaticAuth(headers)


def bearer(token: Secret) -> StaticAuth:
    """A token in the Authorization header (RFC 6750, 2.1)."""
    return StaticAuth(lambda: {"Authorization": f"Bearer {token()}"})


def api_key(name: str, where: str, value: Secret, prefix: str = "") -> StaticAuth:
    """A key in a header, a query parameter or a cookie: `where` is header, query or cookie."""
    if where == "query":
        return StaticAuth(params=lambda: {name: prefix + value()}, secret_params=(name,))
    if where == "cookie":
        return StaticAuth(lambda: {"Cookie": f"{name}={prefix}{value()}"})
    return StaticAuth(lambda: {name: prefix + value()})
