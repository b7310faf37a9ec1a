"""How a page is asked for. Pure.

The config, the values of the partition, the mark and the position make one request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from worker.core.model import Json, Request
from worker.paging.spec import Fetch
from worker.paging.style import Address
from worker.sources.http_config import HttpConfig

Fill = Callable[[str], str]


def build_request(config: HttpConfig, fetch: Fetch, values: Mapping[str, str]) -> Request:
    """The request for a page of the partition that has these values.

    A followed URL is sent verbatim: nothing is added to its query.
    """
    fill = _filler(values, fetch.since)
    added = _first_address(config, fetch, fill).plus(_mark_address(config, fetch.since))
    added = added.plus(_position_address(fetch))
    headers = {name: fill(value) for name, value in config.headers.items()}
    headers |= added.headers or {}
    body = _body(config.body, fill, added.body or {})
    if added.url is not None:
        return Request(
            config.method, added.url, (), tuple(headers.items()), _encoded(body), followed=True
        )
    if body is not None:
        headers.setdefault("Content-Type", "application/json")
    params = _filled_params(config.params, fill)
    params |= added.params or {}
    return Request(
        config.method,
        fill(config.url),
        tuple(params.items()),
        tuple(headers.items()),
        _encoded(body),
    )


def _filler(values: Mapping[str, str], since: Json) -> Fill:
    """Replaces the placeholders `{partition.NAME}` and `{mark}` in a text."""
    mark = "" if since is None else str(since)

    def fill(text: str) -> str:
        for name, value in values.items():
            text = text.replace("{partition." + name + "}", value)
        return text.replace("{mark}", mark)

    return fill


def _first_address(config: HttpConfig, fetch: Fetch, fill: Fill) -> Address:
    """What is added while there is no mark."""
    if config.incremental is None or not fetch.unmarked:
        return Address()
    return Address(params=_filled_params(config.incremental.first, fill))


def _mark_address(config: HttpConfig, since: Json) -> Address:
    """What a mark adds; nothing where the config writes it as a placeholder."""
    target = None if config.incremental is None else config.incremental.target
    return Address() if target is None or since is None else target.address(since)


def _position_address(fetch: Fetch) -> Address:
    """What the position and its window add; a followed URL takes nothing into the body."""
    address = fetch.address
    return address if address.url is None else replace(address, body=None)


def _filled_params(params: Mapping[str, Any], fill: Fill) -> dict[str, str]:
    return {name: fill(_text(value)) for name, value in params.items()}


def _body(template: Json, fill: Fill, added: Mapping[str, Json]) -> Json:
    """The JSON body, None for no body; `added` holds values by dotted path."""
    body = None if template is None else _filled(template, fill)
    for path, value in added.items():
        body = _with(body, path, value)
    return body


def _filled(value: Any, fill: Fill) -> Any:
    """A JSON value with the placeholders of its texts replaced."""
    if isinstance(value, str):
        return fill(value)
    if isinstance(value, Mapping):
        return {key: _filled(inner, fill) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(inner, fill) for inner in value]
    return value


def _with(body: Any, path: str, value: Any) -> Any:
    """A copy of `body` with `value` at a dotted path, whose objects are created when missing."""
    head, _, rest = path.partition(".")
    inner = dict(body) if isinstance(body, Mapping) else {}
    inner[head] = _with(inner.get(head), rest, value) if rest else value
    return inner


def _encoded(body: Json) -> bytes | None:
    return None if body is None else msgspec.json.encode(body)


def _text(value: Any) -> str:
    """A parameter of the config as query text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
