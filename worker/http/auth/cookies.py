"""`source.cookies: keep`: cookies that the source sets are sent back to it (RFC 6265).

They are kept in memory, for one credential: they end with the process, and no partition with other
credentials gets them.
"""

from __future__ import annotations

from aiohttp import CookieJar
from yarl import URL

from worker.http.auth import Answer, Outgoing
from worker.http.headers import header_of


class KeptCookies:
    """An Auth (see worker/http/auth/__init__.py) that sends back what answers set."""

    def __init__(self) -> None:
        # an address has cookies like a name: a source is often one
        self._jar = CookieJar(unsafe=True, quote_cookie=False)

    async def authorize(self, request: Outgoing) -> Outgoing:
        found = self._jar.filter_cookies(URL(request.url, encoded=True))
        there = {
            pair.partition("=")[0] for pair in header_of(request.headers, "Cookie").split("; ")
        }
        pairs = [
            f"{each.key}={each.coded_value}" for each in found.values() if each.key not in there
        ]
        return request.with_headers({"Cookie": "; ".join(pairs)}) if pairs else request

    def answered(self, answer: Answer) -> None:
        if answer.set_cookies:
            url = URL(answer.url, encoded=True)
            self._jar.update_cookies_from_headers(answer.set_cookies, url)

    def renew(self, refused: Answer) -> bool:
        return False
