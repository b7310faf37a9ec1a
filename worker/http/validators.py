"""Conditional requests (RFC 9110, 13) ask a source for its first page only if that changed. Pure.

Validators are what a source said of the version of a page. They are bound to the request that
brought them and to the keys of the config that give it meaning: they are never sent with another
request.
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

from worker.core.cursor import Json
from worker.core.model import Request

_SENDABLE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
SETTLED: Final = timedelta(seconds=1)
"""A page that changes twice within a second has the same date both times (RFC 9110, 8.8.2.2)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition of one request.

    Attributes:
        bound: hash of the request and of the keys of the config that give it meaning.
        headers: ask for changes only; empty where no validators of this request are known.
    """

    bound: str
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, request: Request, meaning: Mapping[str, str], known: Json) -> Condition:
        """The condition of a request.

        Args:
            meaning: the keys of the config that give the request its meaning.
            known: the validators of the last complete pass, for whatever request they came.
        """
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

    def validators_of(self, headers: Mapping[str, str]) -> Json:
        """The validators of a page from its headers; None when none can be trusted."""
        if _SENDABLE.fullmatch(tag := headers.get("ETag", "")):
            return {"bound": self.bound, "header": "If-None-Match", "value": tag}
        if _SENDABLE.fullmatch(date := headers.get("Last-Modified", "")) and _settled(
            date, headers.get("Date", "")
        ):
            return {"bound": self.bound, "header": "If-Modified-Since", "value": date}
        return None


def _settled(modified: str, answered: str) -> bool:
    """Whether the page was so old when it came that every later change has another date."""
    try:
        return parsedate_to_datetime(answered) - parsedate_to_datetime(modified) >= SETTLED
    except (ValueError, TypeError):
        return False
