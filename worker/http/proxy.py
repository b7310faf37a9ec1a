"""`proxy`: what the requests of a source go through.

Each request asks anew which proxy it goes through, because that depends on where it goes, and
because the password may be rotated. A redirect or a next link is judged by its own URL before that:
a proxy makes no origin allowed.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from worker.config.model import Issues, Model, unfit
from worker.config.problems import did_you_mean
from worker.config.secrets import Secret, SecretRef, sendable
from worker.core.errors import ConfigError

WORDS: Final = ("environment", "none")
Word = Literal["environment", "none"]

_SHAPE: Final = re.compile(r"https?://[^/?#\s]+/?", re.IGNORECASE)
_ALLOWED: Final = "environment, none, or a URL like http://proxy.example.com:3128 is allowed"


@dataclass(frozen=True, slots=True)
class Via:
    """A proxy, as one request goes through it.

    Attributes:
        url: of the proxy, without user and password.
        headers: what the proxy itself is told: its credentials.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


Route = Callable[[str], Awaitable[Via | None]]
"""The proxy for a URL; None: it is asked directly."""


def _proxy_url(value: str) -> str:
    """The URL of a proxy as it is. Raises `unfit` for what is none."""
    if value.partition("://")[2].rpartition("@")[1]:
        raise unfit(
            "no credentials in the URL of a proxy, which messages show",
            allowed="scheme, host and port are allowed",
            remedy="write {url: ..., username: ..., password: {env: NAME}}",
        )
    if _origin_of_proxy(value) is None:
        raise unfit(
            "this is no URL of a proxy",
            allowed=_ALLOWED,
            remedy=did_you_mean(value, WORDS) or "proxies are spoken to by HTTP or HTTPS",
        )
    return value


def _origin_of_proxy(text: str) -> str | None:
    """The text where it is a URL with a scheme of HTTP, a host and nothing behind it."""
    try:
        parts = urlsplit(text)
        right = _SHAPE.fullmatch(text) and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return text.rstrip("/") if right else None


ProxyUrl = Annotated[str, AfterValidator(_proxy_url)]


class ProxyConfig(Model):
    """A proxy that every request of the source goes through."""

    url: ProxyUrl = Field(description="URL of the proxy: http://host:port, or https")
    username: Secret | None = Field(
        None, description="user name: a literal or a reference to a secret"
    )
    password: Secret | None = Field(
        None, description="password: a literal or a reference to a secret"
    )

    @model_validator(mode="after")
    def _consistent(self) -> ProxyConfig:
        issues = Issues()
        if self.password is not None and self.username is None:
            issues.add(("password",), "password needs username", "username")
        for key, secret in (("username", self.username), ("password", self.password)):
            if isinstance(secret, str):
                with issues.at(key):
                    sendable(secret)
            elif isinstance(secret, SecretRef) and "{partition." in "".join(secret.texts):
                issues.add(
                    (key,),
                    "all partitions of a source share its proxy: {partition.x} has no value here",
                    remedy="name one secret",
                )
        if isinstance(self.username, str) and ":" in self.username:
            issues.add(("username",), "a user name of a proxy has no colon (RFC 7617, 2)")
        issues.check()
        return self

    @property
    def secrets(self) -> dict[str, str | SecretRef]:
        """Its secrets, by their keys."""
        given = {"username": self.username, "password": self.password}
        return {key: secret for key, secret in given.items() if secret is not None}


def _kind_of_proxy(value: Any) -> str:
    if isinstance(value, str):
        return "a word" if value in WORDS else "a URL"
    return "a proxy"


Proxy = Annotated[
    Annotated[Word, Tag("a word")]
    | Annotated[ProxyUrl, Tag("a URL")]
    | Annotated[ProxyConfig, Tag("a proxy")],
    Discriminator(_kind_of_proxy),
]
"""`environment`, `none`, a URL, or a URL with a user name and a password."""


def route_of(
    config: Word | str | ProxyConfig,
    reading: Callable[[Secret], Callable[[], str]],
) -> Route | None:
    """What finds the proxy of each request; None where none goes through one.

    Args:
        reading: gives a function that reads a secret.

    Raises ConfigError for a variable of the environment that names no proxy.
    """
    if config == "none":
        return None
    if config == "environment":
        return _by_environment(_variables())
    if isinstance(config, str):
        return _always(Via(config))
    if config.username is None:
        return _always(Via(config.url))
    username, password = reading(config.username), reading(config.password or "")
    url = config.url

    async def route(target: str) -> Via:
        return Via(url, _credentials(username(), password()))

    return route


def proxy_shown(config: Word | str | ProxyConfig, url: str) -> str:
    """The proxy that requests to a URL go through, without its credentials; empty for none."""
    if config == "none":
        return ""
    if config == "environment":
        found = _in_environment(_variables(), url)
        return "" if found is None else _without_user(found)
    return config if isinstance(config, str) else config.url


def _always(via: Via) -> Route:
    async def route(target: str) -> Via:
        return via

    return route


def _by_environment(proxies: Mapping[str, str]) -> Route | None:
    vias = {
        scheme: _via_of(f"{scheme.upper()}_PROXY", proxies[scheme])
        for scheme in ("http", "https")
        if proxies.get(scheme)
    }

    async def route(target: str) -> Via | None:
        scheme = urlsplit(target).scheme
        return vias[scheme] if _in_environment(proxies, target) is not None else None

    return route if vias else None


def _variables() -> Mapping[str, str]:
    """What the environment says of proxies, by schemes, and by `no`."""
    from urllib.request import getproxies_environment  # 20 ms that most commands never need

    return getproxies_environment()


def _bypasses(place: str, proxies: Mapping[str, str]) -> bool:
    """Whether NO_PROXY has a host, written with its port where it has one."""
    import urllib.request

    found: bool = urllib.request.proxy_bypass_environment(  # type: ignore[attr-defined]
        place, dict(proxies)
    )  # which the stubs of urllib leave out
    return found


def _in_environment(proxies: Mapping[str, str], url: str) -> str | None:
    """The proxy that variables name for a URL; None where there is none, or NO_PROXY says so."""
    parts = urlsplit(url)
    found = proxies.get(parts.scheme)
    host = (parts.hostname or "").rstrip(".")
    place = host if parts.port is None else f"{host}:{parts.port}"
    if not found or _bypasses(place, proxies):
        return None
    return found


def _via_of(variable: str, text: str) -> Via:
    """The proxy that a variable names, which often has no scheme and may have a password."""
    text = text.strip()
    if "://" not in text:
        text = f"http://{text}"
    url = _origin_of_proxy(_without_user(text))
    if url is None:
        raise ConfigError(
            f"the environment variable {variable} names no proxy that can be used",
            where="source.proxy",
            remedy="it is a URL of http or https, like http://proxy.example.com:3128; "
            "or set proxy: none",
        )
    user, at, _ = text.partition("://")[2].rpartition("@")
    if not at:
        return Via(url)
    name, _, password = user.partition(":")
    return Via(url, _credentials(unquote(name), unquote(password)))


def _without_user(url: str) -> str:
    scheme, joint, rest = url.rpartition("://")
    return f"{scheme}{joint}{rest.rpartition('@')[2]}"


def _credentials(username: str, password: str) -> dict[str, str]:
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"Proxy-Authorization": f"Basic {pair}"}
