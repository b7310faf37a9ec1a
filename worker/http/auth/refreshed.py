"""Credentials whose secrets a command or a service is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from worker.http.auth import Answer, Auth, Outgoing


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

    async def authorize(self, request: Outgoing) -> Outgoing:
        await self._refresh()
        return await self._auth.authorize(request)

    def answered(self, answer: Answer) -> None:
        self._auth.answered(answer)

    def renew(self, refused: Answer) -> bool:
        renewed = self._auth.renew(refused)
        return self._forget() or renewed


class Unfit:
    """An Auth that raises an error for each request, so that its partition is parked."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def authorize(self, request: Outgoing) -> Outgoing:
        raise self._error

    def answered(self, answer: Answer) -> None:
        """No request is sent."""

    def renew(self, refused: Answer) -> bool:
        return False
