"""Credentials whose secrets a command or a service is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from worker.http.auth import Auth, in_url_of


class Refreshed:
    """An Auth (see worker/http/auth/__init__.py) whose secrets are asked for before they are read.

    Args:
        refresh: asks for the secrets that are not there, or too old.
        forget: whether others may be had than those that were refused.
    """

    def __init__(
        self, auth: Auth, refresh: Callable[[], Awaitable[None]], forget: Callable[[], bool]
    ) -> None:
        self._auth, self._refresh, self._forget = auth, refresh, forget

    async def headers(self) -> dict[str, str]:
        await self._refresh()
        return await self._auth.headers()

    async def params(self) -> dict[str, str]:
        return await self._auth.params()

    async def in_url(self) -> dict[str, str]:
        return await in_url_of(self._auth)

    def renew(self, sent: Mapping[str, str]) -> bool:
        renewed = self._auth.renew(sent)
        return self._forget() or renewed


class Unfit:
    """An Auth that raises an error with each request, so that its partition is parked."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def headers(self) -> dict[str, str]:
        raise self._error

    async def params(self) -> dict[str, str]:
        raise self._error

    def renew(self, sent: Mapping[str, str]) -> bool:
        return False
