"""Secrets within a URL, which stand there as `{secret.NAME}` until the request is sent. Pure.

The URL with its placeholders is the one that is stored and shown. The secrets are filled in where
the request leaves, percent-encoded for their place. What a server repeats of them in a link becomes
the placeholder again, so that a rotated secret is used from the next request on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from worker.core.errors import PermanentError
from worker.core.urls import in_query, in_segment
from worker.http.redact import pattern_of

LEAST_CHARS: Final = 8
"""Shorter secrets are recognised only where they are a whole segment or a whole value, because they
occur in any text by chance."""

_PLACEHOLDER: Final = re.compile(r"\{secret\.([^{}]*)\}")
_PART: Final = re.compile(r"[^/?&=#<>;,\"\s]+")
_DOTS: Final = (".", "..", "")


def names_in(text: str) -> list[str]:
    """The names of the secrets in a text."""
    return _PLACEHOLDER.findall(text)


def filled(url: str, secrets: Mapping[str, str]) -> str:
    """A URL with its secrets.

    Raises PermanentError for a secret that would make a segment which leads elsewhere.
    """
    path, question, query = url.partition("?")
    segments = [_segment(each, secrets) for each in path.split("/")]
    return "/".join(segments) + question + _replaced(query, secrets, in_query)


def put_back(text: str, secrets: Mapping[str, str]) -> str:
    """A link of a server with the placeholders of those secrets that it repeats."""
    for name, secret in secrets.items():
        if secret:
            text = _put_back(text, secret, f"{{secret.{name}}}")
    return text


def _put_back(text: str, secret: str, placeholder: str) -> str:
    if len(secret) >= LEAST_CHARS:
        return _compiled(secret).sub(lambda match: placeholder, text)
    return _PART.sub(lambda match: placeholder if unquote(match[0]) == secret else match[0], text)


@lru_cache(maxsize=256)
def _compiled(secret: str) -> re.Pattern[str]:
    """Making one takes milliseconds, and each page of a source asks for the same ones."""
    return re.compile(pattern_of(secret))


def _segment(template: str, secrets: Mapping[str, str]) -> str:
    segment = _replaced(template, secrets, in_segment)
    if segment != template and segment in _DOTS:
        raise PermanentError(
            f"{template} in source.url would become {segment!r}, which names another place",
            remedy="a segment of a path is not empty, and neither . nor ..; check the secret",
        )
    return segment


def _replaced(text: str, secrets: Mapping[str, str], encode: Callable[[str], str]) -> str:
    """The text with the secrets that are known; other placeholders stay."""
    return _PLACEHOLDER.sub(
        lambda match: encode(secrets[match[1]]) if match[1] in secrets else match[0], text
    )
