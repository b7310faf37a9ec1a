"""Challenges of `WWW-Authenticate` (RFC 9110, 11.6.1). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PART: Final = re.compile(
    rf"[,\s]*(?:(?P<key>{_NAME})\s*=\s*(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|(?P<plain>{_NAME}))"
    rf"|(?P<scheme>{_NAME})(?:[ \t]+(?P<token>[A-Za-z0-9\-._~+/]+=*)(?=\s*(?:,|$)))?)"
)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge: its scheme in lower case, and its parameters by their names in lower case."""

    scheme: str
    params: Mapping[str, str]


def challenges_in(header: str) -> list[Challenge]:
    """The challenges of a header, or of several lines joined with commas. What is none ends it."""
    found: list[Challenge] = []
    params: dict[str, str] = {}
    at = 0
    while (part := _PART.match(header, at)) is not None and part.end() > at:
        at = part.end()
        if part["scheme"] is not None:
            params = {}
            found.append(Challenge(part["scheme"].lower(), params))
        elif found:
            quoted = part["quoted"]
            value = part["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            params.setdefault(part["key"].lower(), value)
    return found
