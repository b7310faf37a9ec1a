"""Several credentials of one request: a list in `auth`, and cookies that are kept."""

from __future__ import annotations

from collections.abc import Sequence

from worker.http.auth import Answer, Auth, Outgoing


class Several:
    """An Auth (see worker/http/auth/__init__.py) of others; each adds its own, in their order."""

    def __init__(self, each: Sequence[Auth]) -> None:
        self._each = each

    async def authorize(self, request: Outgoing) -> Outgoing:
        for auth in self._each:
            request = await auth.authorize(request)
        return request

    def answered(self, answer: Answer) -> None:
        for auth in self._each:
            auth.answered(answer)

    def renew(self, refused: Answer) -> bool:
        renewed = [auth.renew(refused) for auth in self._each]  # nobody knows which was refused
        return any(renewed)
