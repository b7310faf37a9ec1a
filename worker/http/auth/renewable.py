"""Credentials that are asked for at an endpoint, and asked for again when they end.

One request asks for all that need them. They are renewed before they expire; others use the old
ones meanwhile, and all do until they expire when the endpoint is down. Those that the server
refuses are renewed once: a fresh credential that was never accepted is not, because the next one
would be refused too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Final

from worker.core.errors import WorkerError
from worker.core.ports import Clock
from worker.http.auth import Answer, Outgoing

TRY_AGAIN_S: Final = 10.0
"""The time until the next try when the renewal of a credential failed that is still valid."""
RENEWALS_APART_S: Final = 30.0
"""A credential that was never accepted is not renewed within this time after a renewal."""
LONGEST_S: Final = 10 * 365 * 86_400.0
"""The life of a credential of which no end is known: it is used until it is refused."""
FIRST_ERROR: Final = 400


@dataclass(frozen=True, slots=True)
class Issued:
    """A credential that an endpoint has given.

    Attributes:
        headers: that it is sent in; a cookie goes beside others.
        params: that it is sent in.
        refresh_at: when it is to be renewed, in monotonic seconds.
        expires_at: when it is no longer valid, in monotonic seconds.
    """

    headers: Mapping[str, str] = field(repr=False)
    params: Mapping[str, str] = field(repr=False)
    refresh_at: float
    expires_at: float

    def serves(self, now: float, *, is_being_renewed: bool) -> bool:
        """Whether it may be sent without asking for another one."""
        return now < self.refresh_at or (is_being_renewed and now < self.expires_at)

    def was_sent(self, answer: Answer) -> bool:
        """Whether the request of an answer carried it."""
        sent = answer.credentials
        return all(
            value in sent.get(name, "").split("; ") if name == "Cookie" else sent.get(name) == value
            for name, value in self.headers.items()
        ) and all(answer.params.get(name) == value for name, value in self.params.items())


class Renewable:
    """An Auth (see worker/http/auth/__init__.py) whose credential is asked for.

    Args:
        ask: asks the endpoint at a monotonic second. Raises AuthError when it refuses the client,
            TransientError when it may answer later, PermanentError for any other answer.
    """

    def __init__(self, ask: Callable[[float], Awaitable[Issued]], clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._asking = asyncio.Lock()
        self._failures = 0
        self._failure: WorkerError | None = None  # the last one, until a credential comes
        self._issued: Issued | None = None
        self._accepted = False
        self._renewed_at: float | None = None

    def __repr__(self) -> str:
        return f"<Renewable {self._issued}>"

    async def authorize(self, request: Outgoing) -> Outgoing:
        issued = await self._current()
        return request.with_headers(issued.headers).with_params(issued.params)

    def answered(self, answer: Answer) -> None:
        if not self._accepted and answer.status < FIRST_ERROR:
            self._accepted = self._issued is not None and self._issued.was_sent(answer)

    def renew(self, refused: Answer) -> bool:
        now, issued = self._clock.monotonic(), self._issued
        if issued is None or not issued.was_sent(refused):
            return True  # another one is there, or is being asked for
        before = self._renewed_at
        if not self._accepted and before is not None and now - before < RENEWALS_APART_S:
            return False
        self._issued, self._renewed_at = None, now
        return True

    async def _current(self) -> Issued:
        """One that is fresh, or still valid while another task renews it."""
        issued, failures = self._issued, self._failures
        now = self._clock.monotonic()
        if issued is not None and issued.serves(now, is_being_renewed=self._asking.locked()):
            return issued
        async with self._asking:
            now, issued = self._clock.monotonic(), self._issued
            if issued is not None and now < issued.refresh_at:
                return issued
            if self._failures != failures and self._failure is not None:
                # whoever waited for an answer has it, and does not ask once more
                raise copy(self._failure) from self._failure
            return await self._renewed(issued, now)

    async def _renewed(self, old: Issued | None, now: float) -> Issued:
        """A new one, or the old one for a while longer when there is no new one."""
        try:
            fresh = await self._ask(now)
        except WorkerError as error:
            if old is None or now >= old.expires_at:
                self._issued, self._failure, self._failures = None, error, self._failures + 1
                raise
            fresh = replace(old, refresh_at=min(now + TRY_AGAIN_S, old.expires_at))
        else:
            self._accepted = False
        self._issued, self._failure = fresh, None
        return fresh
