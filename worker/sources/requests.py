"""How a page is asked for. Pure.

The config, the values of the partition, the mark and the position make one request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from pydantic_core import PydanticCustomError

from worker.config.scalars import header_value
from worker.core.errors import PermanentError
from worker.core.model import Request
from worker.core.urls import at_origin, origin_of, with_encoded
from worker.http.headers import with_headers
from worker.paging.spec import Fetch
from worker.paging.style import Address
from worker.sources.http_config import HttpConfig
from worker.sources.placeholders import Fill, filled_url, filler
from worker.sources.places import as_text, index_in


def build_request(config: HttpConfig, fetch: Fetch, values: Mapping[str, str]) -> Request:
    """The request for a page of the partition that has these values.

    A followed URL is sent verbatim, but for its origin where `next_origin` keeps ours: nothing is
    added to its query.

    Raises PermanentError for a value that has no place in the URL.
    """
    mark = "" if fetch.since is None else as_text(fetch.since)
    fill, address = filler(values, mark), fetch.address
    headers = {
        name: _filled_header(name, value, fill) for name, value in config.plain_headers.items()
    }
    for added in _added(config, fetch):
        headers = with_headers(headers, added.headers or {})
    content_type, content = _content(config, fetch, fill)
    if content is not None and "content-type" not in map(str.lower, headers):
        headers["Content-Type"] = content_type
    if address.url is None:
        url, params = _asked_for(config, fetch, fill, filled_url(config.url, values, mark))
    else:
        url, params = _followed(config, address.url), ()
    return Request(
        config.method,
        url,
        params,
        tuple(headers.items()),
        content,
        followed=address.url is not None,
    )


def _filled_header(name: str, text: str, fill: Fill) -> str:
    """A header with its placeholders filled. Raises PermanentError for what none may hold."""
    filled = fill(text)
    if filled is not text:
        try:
            return header_value(filled)
        except PydanticCustomError as error:
            raise PermanentError(
                f"the header {name} would become {filled!r}: {error.message()}",
                remedy="take that value out of the partitions, or send it elsewhere",
            ) from error
    return filled


def _content(config: HttpConfig, fetch: Fetch, fill: Fill) -> tuple[str, bytes | None]:
    """The body of a request and its type; None for no body."""
    if config.text is not None:
        return "text/plain; charset=utf-8", fill(config.text).encode()
    added = list(_added(config, fetch))
    form = _filled_params(config.form, fill)
    for each in added:
        form |= {name: (value,) for name, value in (each.form or {}).items()}
    if form:
        pairs = [(name, each) for name, values in form.items() for each in values]
        return "application/x-www-form-urlencoded", urlencode(pairs).encode()
    body = _filled(config.body, fill)
    for each in added:
        for path, value in (each.body or {}).items():
            body = _with(body, path, value)
    return "application/json", None if body is None else msgspec.json.encode(body)


def _added(config: HttpConfig, fetch: Fetch) -> Iterator[Address]:
    """What is added to the request of the config: the mark, then the position."""
    if config.incremental is not None and fetch.since is not None:
        yield config.incremental.address(fetch.since)
    yield fetch.address


def _followed(config: HttpConfig, url: str) -> str:
    return at_origin(url, origin_of(config.url)) if config.next_origin == "keep" else url


def _asked_for(
    config: HttpConfig, fetch: Fetch, fill: Fill, url: str
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The URL with what its query has as it came, and the other parameters."""
    params = _filled_params(config.plain_params, fill)
    if config.incremental is not None and fetch.unmarked:
        params |= _filled_params(config.incremental.first, fill)
    query: dict[str, str] = {}
    for added in _added(config, fetch):
        for name, value in (added.params or {}).items():
            params[name] = (value,)
        query |= added.query or {}
    pairs = [(name, each) for name, values in params.items() for each in values]
    if not query:
        return url, tuple(pairs)
    return with_encoded(url, query), tuple(pair for pair in pairs if pair[0] not in query)


def _filled_params(params: Mapping[str, Any], fill: Fill) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(fill(_text(each)) for each in (value if isinstance(value, tuple) else (value,)))
        for name, value in params.items()
    }


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
    """A copy of `body` with `value` at a dotted path, whose objects are created when missing.

    In an array a key is the index of an element; that it is there is checked with the config.
    """
    head, _, rest = path.partition(".")
    if isinstance(body, list) and (at := index_in(head, body)) is not None:
        return [*body[:at], _with(body[at], rest, value) if rest else value, *body[at + 1 :]]
    inner = dict(body) if isinstance(body, Mapping) else {}
    inner[head] = _with(inner.get(head), rest, value) if rest else value
    return inner


def _text(value: Any) -> str:
    """A parameter of the config as query text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
