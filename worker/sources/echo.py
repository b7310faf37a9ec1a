"""Positions are kept in the state and shown to operators, so none may hold a credential. Pure.

A source may put what it was sent into its page token or next link. A secret that is a query
parameter is taken out of links (`url_stripper`), one that stands in the URL becomes its placeholder
again, and one that was sent in a header is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from multidict import CIMultiDict

from worker.core.errors import PermanentError
from worker.core.model import Facts
from worker.http.in_url import put_back
from worker.http.redact import echoes, url_stripper
from worker.sources.http_config import HttpConfig

ECHO_CHARS: Final = 8
"""Shorter secrets are not looked for, because they occur in any token by chance."""
ECHO_REMEDY: Final = (
    "it would be kept in the state; a link may repeat it only as the query parameter, or in the "
    "path, where the config sends it: as a secret of params, or with auth: {type: api_key, in: "
    "query, name: ...} or in: path"
)


class Positions:
    """Where the pages of a source have positions, and what must not be in them."""

    def __init__(self, config: HttpConfig) -> None:
        self.headers = _headers_read(config)
        link = config.pagination.token_at if config.pagination.follows else None
        self._link_header, self._link_path = (
            (None, None) if link is None else (link.header, link.body)
        )
        self._strip = url_stripper(config.secret_params)

    def put_back(
        self, facts: Facts, headers: Mapping[str, str], in_url: Mapping[str, str]
    ) -> Mapping[str, str]:
        """Lets the next link have the placeholders of the secrets that were in the URL of its page.

        Returns the headers of the page; its facts are changed.
        """
        path, name = self._link_path, self._link_header
        if path is not None and isinstance(link := facts.body.get(path), str):
            facts.body = {**facts.body, path: put_back(link, in_url)}
        if name is None or name not in headers:
            return headers
        changed = CIMultiDict(headers)
        changed[name] = put_back(headers[name], in_url)
        return changed

    def refuse_echo(self, facts: Facts, headers: Mapping[str, str], secrets: Iterable[str]) -> None:
        """Raises PermanentError for a page whose positions hold a secret of its request."""
        sent = [secret for secret in secrets if len(secret) >= ECHO_CHARS]
        if not sent or not echoes((text for _, text in self._texts(facts, headers)), sent):
            return
        where = next(at for at, text in self._texts(facts, headers) if echoes([text], sent))
        raise PermanentError(
            "the source puts the credential of the request into its page token or next link: "
            f"{where}",
            remedy=ECHO_REMEDY,
        )

    def _texts(self, facts: Facts, headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """(where, text) of all of a page that may become a position; of a link what is stored of
        it.
        """
        for name in self.headers:
            if name in headers:
                yield f"header {name}", self._stored(headers[name], name == self._link_header)
        for path, value in (*facts.body.items(), *facts.last.items()):
            if isinstance(value, str):
                yield path, self._stored(value, path == self._link_path)
            elif isinstance(value, list | dict):
                yield path, msgspec.json.encode(value).decode()

    def _stored(self, text: str, is_link: bool) -> str:
        return self._strip(text) if is_link else text


def _headers_read(config: HttpConfig) -> frozenset[str]:
    """Names of the response headers from which positions, marks and totals are read."""
    parts = (config.pagination, config.incremental)
    dumped = [part.model_dump(mode="json", by_alias=True) for part in parts if part is not None]
    return frozenset({"Link", *_header_names(dumped)})


def _header_names(config: Any) -> Iterator[str]:
    """The values of all keys `header` in a dumped config."""
    for key, value in config.items() if isinstance(config, dict) else enumerate(config):
        if key == "header" and isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            yield from _header_names(value)
