"""Conditional requests: what a source said of the version of its first page, and how it is asked for changes only. Pure.

Validators are bound to the request that brought them and to what the config means: they are never sent with another one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from typing import Final

import msgspec

from worker.core.model import Json, Request

_SENDABLE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
SETTLED: Final = timedelta(
    seconds=1
)  # RFC 9110, 8.8.2.2: what changed later within the second would have the same date


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition of one request.

    Attributes:
        bound: hash of the request and of what the config means.
        headers: ask for changes only; empty where nothing is known of this request.
    """

    bound: str
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, request: Request, meaning: Mapping[str, str], known: Json) -> Condition:
        """`known`: the validators of the last complete pass, whatever request they were for."""
        place = (
            request.method,
            request.url,
            request.params,
            request.headers,
            request.body,
            sorted(meaning.items()),
        )
        bound = blake2b(msgspec.json.encode(place), digest_size=16).hexdigest()
        if not isinstance(known, dict) or known.get("bound") != bound:
            return cls(bound, ())
        return cls(bound, ((known["header"], known["value"]),))

    def learned(self, headers: Mapping[str, str]) -> Json:
        """Validators to keep from the headers of a page; None when it has none that can be trusted."""
        if _SENDABLE.fullmatch(tag := headers.get("ETag", "")):
            return {"bound": self.bound, "header": "If-None-Match", "value": tag}
        if _SENDABLE.fullmatch(date := headers.get("Last-Modified", "")) and _settled(
            date, headers.get("Date", "")
        ):
            return {"bound": self.bound, "header": "If-Modified-Since", "value": date}
        return None


def _settled(modified: str, answered: str) -> bool:
    """The page was old enough when it came: nothing can change any more without another date."""
    try:
        return parsedate_to_datetime(answered) - parsedate_to_datetime(modified) >= SETTLED
    except (ValueError, TypeError):
        return False
