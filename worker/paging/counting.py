"""Tokens and links that stand for a number: a page or an offset in another dress. Pure.

Records that are inserted or deleted while pages are read move from one such page to another, as
they do where the number is ours. A token that names a record, or a snapshot, does not have that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from worker.core.cursor import Json
from worker.core.model import Facts
from worker.paging.style import Next


def stands_for_a_number(following: Next, at: Json, facts: Facts) -> bool:
    """Whether the next page differs from this one by a number that grows by one, or by the records
    of the page. Others may change with it: where a range ends, a number that no cache has seen.

    Args:
        at: the position of the page.
    """
    now, then = _numbers(at, facts), _numbers(following.position, facts)
    return any(
        number in (now[name] + 1, now[name] + facts.listed)
        if name in now
        else number in (1, 2, facts.listed, facts.listed + 1)
        for name, number in then.items()
        if now.get(name) != number
    )


def _numbers(position: Json, facts: Facts) -> Mapping[str, int]:
    """Name -> whole number, of the parameters of a link, or of a token that is one."""
    if not isinstance(position, dict):
        return _of_query(facts.url)
    if "url" in position:
        return _of_query(position["url"])
    number = _whole(position.get("token"))
    return {} if number is None else {"token": number}


def _of_query(url: str) -> Mapping[str, int]:
    found = {name: _whole(value) for name, value in parse_qsl(urlsplit(url).query)}
    return {name: number for name, number in found.items() if number is not None}


def _whole(value: Any) -> int | None:
    if not isinstance(value, int | str):
        return None
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
