"""Several credentials of one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from worker.http.auth import Auth, in_url_of
from worker.http.headers import with_headers


class Combined:
    """An Auth (see worker/http/auth/__init__.py) that adds what each of several adds."""

    def __init__(self, parts: Sequence[Auth]) -> None:
        self._parts = parts

    async def headers(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for each in self._parts:
            found = with_headers(found, await each.headers())
        return found

    async def params(self) -> dict[str, str]:
        return {name: text for each in self._parts for name, text in (await each.params()).items()}

    async def in_url(self) -> dict[str, str]:
        return {
            name: text for each in self._parts for name, text in (await in_url_of(each)).items()
        }

    def renew(self, sent: Mapping[str, str]) -> bool:
        """Whether one of them has other credentials; each is asked, as each may have been
        refused.
        """
        renewed = [each.renew(sent) for each in self._parts]
        return any(renewed)
