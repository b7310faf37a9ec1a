"""Headers as mappings: names ignore case (RFC 9110, 5.1). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CREDENTIALS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Headers that carry nothing but credentials (RFC 9110, 11.6.2, 11.7.2; RFC 6265, 4.2)."""
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
"""Statuses of answers whose `Location` is where to ask instead (RFC 9110, 15.4)."""


def with_headers(under: Mapping[str, str], over: Mapping[str, str]) -> dict[str, str]:
    """The headers of both; those of `over` replace the ones of the same name."""
    if not over:
        return dict(under)
    taken = {name.lower() for name in over}
    return {**{name: each for name, each in under.items() if name.lower() not in taken}, **over}


def without_credentials(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that may go to an origin which gets no credentials."""
    return {name: each for name, each in headers.items() if name.lower() not in CREDENTIALS}


def header_of(headers: Mapping[str, str], name: str) -> str:
    """The value of a header in a mapping that may write its name in any case; empty without it."""
    return next((each for key, each in headers.items() if key.lower() == name.lower()), "")
