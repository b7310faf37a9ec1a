"""Credentials, which the client adds when it sends a request to the configured origin.

A kind is a module with a `Config` and `build(config, deps) -> Auth` (see `AUTH` in
worker/components.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from pydantic import Field, model_validator

from worker.config.model import Issues, Model
from worker.config.models import secrets_of
from worker.config.secrets import Secret, secret_value, sendable
from worker.core.model import Request
from worker.core.ports import Clock


class Answer(Protocol):
    """A complete answer: what credentials need of a `Response` of the client."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> Any: ...


Fetch = Callable[[Request], Awaitable[Answer]]
"""Sends a request and returns the answer, whatever its status.

Raises TransientError, PermanentError.
"""


class Auth(Protocol):
    """One way to authenticate."""

    async def headers(self) -> dict[str, str]:
        """Headers to send; asked for before each request, and each hop of a redirect."""

    async def params(self) -> dict[str, str]:
        """Query parameters to send; asked for together with the headers."""

    def renew(self, sent: Mapping[str, str]) -> bool:
        """Whether other credentials are there, or can be had, after the server refused these.

        `sent` is empty when the request went to an origin that gets no credentials.
        """


@runtime_checkable
class FillsUrl(Protocol):
    """Credentials of which a part stands in the URL; one more method that an `Auth` may have."""

    async def in_url(self) -> dict[str, str]:
        """The values of `{secret.NAME}` in the URL; asked for together with the headers."""


async def in_url_of(auth: Auth) -> dict[str, str]:
    """The secrets that credentials have for the URL."""
    return await auth.in_url() if isinstance(auth, FillsUrl) else {}


class AuthConfig(Model):
    """Base of the `Config` of a kind."""

    type: str = Field(description="kind of credentials")

    @property
    def carried(self) -> tuple[str, str, str]:
        """Where requests carry them: (key that says so, `header` or `param`, name)."""
        return ("type", "header", "Authorization")

    @property
    def url_secrets(self) -> tuple[str, ...]:
        """Names of `{secret.NAME}` that stand in the URL."""
        return ()

    @property
    def endpoints(self) -> tuple[str, ...]:
        """URLs that the credentials themselves are asked for at."""
        return ()

    @model_validator(mode="after")
    def _sendable(self) -> AuthConfig:
        issues = Issues()
        for key, secret in secrets_of(self):
            if isinstance(secret, str):
                with issues.at(key):
                    sendable(secret)
        issues.check()
        return self

    @property
    def secret_params(self) -> tuple[str, ...]:
        """Query parameters that carry a secret; they are never stored."""
        return ()


@dataclass(frozen=True, slots=True)
class AuthDeps:
    """What an `Auth` is made of, besides its config.

    One is made for each partition whose secrets differ.

    Attributes:
        values: the values of the partition, which fill the placeholders of references to secrets.
        read: gives the text of a secret for the values of the partition.
        fetch_from: what sends requests to the origin of a URL, for credentials that are asked for.
    """

    values: Mapping[str, str]
    clock: Clock
    fetch_from: Callable[[str], Fetch]
    read: Callable[[Secret, Mapping[str, str]], str] = secret_value

    def reading(self, secret: Secret) -> Callable[[], str]:
        """A function that reads a secret anew each time it is called, so that it may be rotated."""
        return lambda: self.read(secret, self.values)


class StaticAuth:
    """Credentials that do not change by themselves."""

    def __init__(
        self,
        headers: Callable[[], dict[str, str]] = dict,
        params: Callable[[], dict[str, str]] = dict,
        in_url: Callable[[], dict[str, str]] = dict,
    ) -> None:
        self._headers, self._params, self._in_url = headers, params, in_url

    async def headers(self) -> dict[str, str]:
        return self._headers()

    async def params(self) -> dict[str, str]:
        return self._params()

    async def in_url(self) -> dict[str, str]:
        return self._in_url()

    def renew(self, sent: Mapping[str, str]) -> bool:
        return False
