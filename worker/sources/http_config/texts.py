"""Texts of requests that are checked when the config is read: URLs, headers, paths to write to."""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from worker.config.types import Flag, Number, Whole

URL_PATTERN: Final = r"^https?://[^/?#\s]+"
_HEADER: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def _header_name(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise ValueError("a header name has letters, digits and - only")
    return value


def _header_value(value: str) -> str:
    if any(ord(char) < 32 and char != "\t" for char in value):
        raise ValueError("a header is one line without control characters")
    return value


def checked_url(value: str) -> str:
    """The URL as it is; ValueError when nothing can be asked there."""
    try:
        parts = urlsplit(value)
        usable = bool(parts.hostname) and not re.search(r"\s", parts.netloc) and parts.port != 0
    except ValueError as error:
        raise ValueError(f"no URL: {error}") from error
    if not usable:
        raise ValueError("no URL: a host is needed, and a port from 1 to 65535 if there is one")
    if "@" in parts.netloc:
        raise ValueError(
            "no credentials in a URL, which messages and the state show: use auth: {type: basic, username: ..., password: {env: NAME}}"
        )
    if "{" in parts.netloc:
        raise ValueError(
            "placeholders stand behind the host only: limits and credentials belong to one origin; write one pipeline a host"
        )
    return value


def _dotted(value: str) -> str:
    if not all(value.split(".")):
        raise ValueError("a write path is plain keys with dots between them")
    return value


HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]
Url = Annotated[str, Field(pattern=URL_PATTERN), AfterValidator(checked_url)]
DottedPath = Annotated[str, AfterValidator(_dotted)]
Scalar = str | Whole | Number | Flag
