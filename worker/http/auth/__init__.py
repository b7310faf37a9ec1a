"""Credentials, which the client adds when it sends a request to the configured origin.

A kind is a module with a `Config` and `build(config, deps) -> Auth` (see `AUTH` in
worker/components.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec
from msgspec.structs import replace
from pydantic import Field, model_validator

from worker.config.model import Issues, Model
from worker.config.models import secrets_of
from worker.config.secrets import Secret, secret_value, sendable
from worker.core.model import Request
from worker.core.ports import Clock
from worker.core.urls import with_query
from worker.http.headers import header_of, with_headers
from worker.http.in_url import filled


class Answer(Protocol):
    """A complete answer: what credentials need of a `Response` of the client."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> Any: ...
    @property
    def url(self) -> str: ...
    @property
    def set_cookies(self) -> tuple[str, ...]:
        """The values of its lines `Set-Cookie`."""

    @property
    def credentials(self) -> Mapping[str, str]:
        """The headers that were added to its request."""

    @property
    def params(self) -> Mapping[str, str]:
        """The parameters that were added to its request."""


class Fetch(Protocol):
    """Sends a request and returns the answer, whatever its status.

    Raises TransientError, PermanentError.
    """

    async def __call__(self, request: Request, *, follow: bool = True) -> Answer:
        """`follow`: redirects are followed as those of the source are; else they are answers."""


NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Outgoing(msgspec.Struct, frozen=True, gc=False):  # one per request
    """A request as it is going to be sent, to which credentials are added.

    Attributes:
        url: with its whole query.
        credentials: the headers that were added, with their values.
        params: the parameters that were added.
        in_url: the secrets that were filled into the URL, by their names.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    credentials: Mapping[str, str] = NOTHING
    params: Mapping[str, str] = NOTHING
    in_url: Mapping[str, str] = NOTHING

    def with_url_secrets(self, secrets: Mapping[str, str]) -> Outgoing:
        """The same with secrets in the place of `{secret.NAME}`.

        Raises PermanentError for one that would lead elsewhere.
        """
        if not secrets:
            return self
        url = filled(self.url, secrets)
        return replace(self, url=url, in_url={**self.in_url, **secrets})

    def with_headers(self, headers: Mapping[str, str]) -> Outgoing:
        """The same with headers, which replace others of the same name; cookies are added to those
        that are there (RFC 6265, 4.2.1).
        """
        if (cookie := headers.get("Cookie")) and (others := header_of(self.headers, "Cookie")):
            headers = {**headers, "Cookie": f"{others}; {cookie}"}
        return replace(
            self,
            headers=with_headers(self.headers, headers),
            credentials={**self.credentials, **headers},
        )

    def at(self, url: str, headers: Mapping[str, str]) -> Outgoing:
        """The same with its URL written in another way, and with headers that are no secret."""
        return replace(self, url=url, headers=with_headers(self.headers, headers))

    def with_params(self, params: Mapping[str, str]) -> Outgoing:
        """The same with parameters at the end of the query."""
        if not params:
            return self
        url = with_query(self.url, params.items())
        return replace(self, url=url, params={**self.params, **params})


class Auth(Protocol):
    """One way to authenticate."""

    async def authorize(self, request: Outgoing) -> Outgoing:
        """The request with what proves who asks; called for each request and each hop of a
        redirect that goes where credentials may go.

        Raises AuthError, TransientError and PermanentError, which the request fails with.
        """

    def answered(self, answer: Answer) -> None:
        """Called with each answer to a request that `authorize` was called for."""

    def renew(self, refused: Answer) -> bool:
        """Whether other credentials are there, or can be had, after the server refused these.

        Called after `answered` with the same answer. If so, the request is sent again at once.
        """


class AuthConfig(Model):
    """Base of the `Config` of a kind."""

    type: str = Field(description="kind of credentials")

    @property
    def carried(self) -> tuple[str, str, str]:
        """Where requests carry them: (key that says so, `header`, `param` or `cookie`, name)."""
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
        for path, secret in secrets_of(self, unsent=False):
            if isinstance(secret, str):
                with issues.at(*path):
                    sendable(secret)
        issues.check()
        return self

    @property
    def secret_params(self) -> tuple[str, ...]:
        """Query parameters that carry a secret; they are never stored."""
        return ()


class KeptSecret(Protocol):
    """The durable place of one secret, which changes while it is used."""

    def locked(self) -> AbstractAsyncContextManager[None]:
        """Held while the secret is read, changed and kept: no other process does meanwhile.

        Raises TransientError where another one holds it for too long.
        """

    async def read(self) -> Mapping[str, str]:
        """What is kept; empty where nothing is."""

    async def write(self, values: Mapping[str, str]) -> None:
        """Keeps this instead; when it returns it is durable. Raises SinkUnavailable, StateError."""


def _nowhere(name: str) -> KeptSecret:
    raise AssertionError("these credentials are kept nowhere")


@dataclass(frozen=True, slots=True)
class AuthDeps:
    """What an `Auth` is made of, besides its config.

    One is made for each partition whose secrets differ.

    Attributes:
        values: the values of the partition, which fill the placeholders of references to secrets.
        fetch_from: what sends requests to the origin of a URL, for credentials that are asked for.
        kept: the durable place of the secret with this name.
        read: gives the text of a secret for the values of the partition.
    """

    values: Mapping[str, str]
    clock: Clock
    fetch_from: Callable[[str], Fetch]
    kept: Callable[[str], KeptSecret] = _nowhere
    read: Callable[[Secret, Mapping[str, str]], str] = secret_value

    def reading(self, secret: Secret) -> Callable[[], str]:
        """A function that reads a secret anew each time it is called, so that it may be rotated."""
        return lambda: self.read(secret, self.values)


Headers = Callable[[], dict[str, str]]


class StaticAuth:
    """Credentials that do not change by themselves."""

    def __init__(
        self, headers: Headers = dict, params: Headers = dict, in_url: Headers = dict
    ) -> None:
        self._headers, self._params, self._in_url = headers, params, in_url

    async def authorize(self, request: Outgoing) -> Outgoing:
        filled = request.with_url_secrets(self._in_url())
        return filled.with_headers(self._headers()).with_params(self._params())

    def answered(self, answer: Answer) -> None:
        """Nothing that is answered changes them."""

    def renew(self, refused: Answer) -> bool:
        return False
