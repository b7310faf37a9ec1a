"""`source.cookies: keep`: cookies that the source sets are sent back to it (RFC 6265).

They are kept in memory, for one credential: they end with the process, and no partition with other
credentials gets them. A value goes back as it came, also with its quotes.
"""

from __future__ import annotations

from http.cookies import CookieError, Morsel
from typing import Final

from aiohttp import CookieJar
from yarl import URL

from worker.http.auth import Answer, Outgoing
from worker.http.headers import header_of

_FLAGS: Final = frozenset({"secure", "httponly"})
_ATTRIBUTES: Final = frozenset({"domain", "path", "expires", "max-age"})


class KeptCookies:
    """An Auth (see worker/http/auth/__init__.py) that sends back what answers set."""

    def __init__(self) -> None:
        # an address has cookies like a name: a source is often one
        self._jar = CookieJar(unsafe=True, quote_cookie=False)

    async def authorize(self, request: Outgoing) -> Outgoing:
        found = self._jar.filter_cookies(URL(request.url, encoded=True)).values()
        sent = header_of(request.headers, "Cookie").split("; ")
        there = {pair.partition("=")[0] for pair in sent}
        pairs = [f"{each.key}={each.value}" for each in found if each.key not in there]
        return request.with_headers({"Cookie": "; ".join(pairs)}) if pairs else request

    def answered(self, answer: Answer) -> None:
        for line in answer.set_cookies:
            if (cookie := _cookie_of(line)) is not None:
                self._jar.update_cookies({cookie.key: cookie}, URL(answer.url, encoded=True))

    def renew(self, refused: Answer) -> bool:
        return False


def _cookie_of(line: str) -> Morsel[str] | None:
    """The cookie that a line `Set-Cookie` sets; None where nobody could send it back."""
    pair, *attributes = line.split(";")
    name, _, value = (part.strip() for part in pair.partition("="))
    cookie: Morsel[str] = Morsel()
    try:
        cookie.set(name, value, value)
        for each in attributes:
            key, _, text = (part.strip() for part in each.partition("="))
            if key.lower() in _FLAGS:
                cookie[key] = True
            elif key.lower() in _ATTRIBUTES:
                cookie[key] = text
    except CookieError:
        return None
    return cookie
