"""How a page is asked for. Pure.

The config, the values of the partition, the mark and the position make one request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from worker.core.cursor import Json
from worker.core.model import Request
from worker.http.headers import with_headers
from worker.paging.spec import Fetch
from worker.paging.style import Address
from worker.sources.http_config import HttpConfig
from worker.sources.placeholders import Fill, filled_url, filler
from worker.sources.places import as_text


def build_request(config: HttpConfig, fetch: Fetch, values: Mapping[str, str]) -> Request:
    """The request for a page of the partition that has these values.

    A followed URL is sent verbatim: nothing is added to its query.

    Raises PermanentError for a value that has no place in the URL.
    """
    mark = "" if fetch.since is None else as_text(fetch.since)
    fill, url = filler(values, mark), fetch.address.url
    params = _filled_params(config.params, fill)
    headers = {name: fill(value) for name, value in config.headers.items()}
    body = _filled(config.body, fill)
    for added in _added(config, fetch, fill):
        params |= added.params or {}
        headers = with_headers(headers, added.headers or {})
        for path, value in (added.body or {}).items():
            body = _with(body, path, value)
    if body is not None and "content-type" not in map(str.lower, headers):
        headers["Content-Type"] = "application/json"
    return Request(
        config.method,
        filled_url(config.url, values, mark) if url is None else url,
        tuple(params.items()) if url is None else (),
        tuple(headers.items()),
        _encoded(body),
        followed=url is not None,
    )


def _added(config: HttpConfig, fetch: Fetch, fill: Fill) -> Iterator[Address]:
    """What is added to the request of the config: the first parameters, the mark, the position."""
    if (incremental := config.incremental) is not None:
        if fetch.unmarked:
            yield Address(params=_filled_params(incremental.first, fill))
        if fetch.since is not None:
            yield incremental.address(fetch.since)
    yield fetch.address


def _filled_params(params: Mapping[str, Any], fill: Fill) -> dict[str, str]:
    return {name: fill(_text(value)) for name, value in params.items()}


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
