"""The gate of an origin and credential: a rate limit, and the pauses that the origin asks for. Pure.

After a pause one request goes ahead as a probe; the others follow when it has succeeded, so that a storm of 429
costs one request a window, however many partitions wait. Requests that were sent before the pause say nothing about
the time after it: the rest of a burst neither makes the pause longer nor opens the gate.
"""

from __future__ import annotations

from typing import Final

from worker.resilience.backoff import doubling_s

PROBE_PATIENCE_S: Final = 30.0
SAID_S: Final = 1.0  # a shorter wait than this ("come back at once") is believed once
_WHOLE: Final = (
    1.0 - 1e-6
)  # what is left of a token after rounding: who comes when told is let through


class Gate:
    """`requests` per `per_s` seconds, in a bucket of as many tokens; None for no rate limit."""

    def __init__(self, requests: float | None = None, per_s: float = 1.0) -> None:
        self._rate = None if requests is None else requests / per_s
        self._size = max(requests or 1.0, 1.0)
        self._tokens = self._size
        self._at = 0.0
        self._paused_at = self._closed_until = 0.0
        self._probing = False
        self._probe_sent: float | None = None
        self._pauses = 0

    def __repr__(self) -> str:
        return f"<Gate tokens={self._tokens:.1f} closed_until={self._closed_until:.1f}{' probing' if self._probing else ''}>"

    def acquire(self, now: float) -> float | None:
        """None: go ahead. Otherwise when to ask again."""
        if now < self._closed_until:
            return self._closed_until
        if (
            self._probing
            and self._probe_sent is not None
            and now - self._probe_sent < PROBE_PATIENCE_S
        ):
            return now + 0.1
        if self._rate is not None:
            self._tokens = min(self._size, self._tokens + max(now - self._at, 0.0) * self._rate)
            self._at = now
            if self._tokens < _WHOLE:
                return now + (1.0 - self._tokens) / self._rate
            self._tokens -= 1.0
        if self._probing:
            self._probe_sent = now
        return None

    def paused(self, now: float) -> bool:
        """The origin asked for a pause, and no request has come back well since: more than our own rate limit holds requests back."""
        return now < self._closed_until or self._probing

    def closed_for(self, now: float) -> float:
        """Seconds until a pause that the origin asked for is over; 0 when there is none."""
        return max(self._closed_until - now, 0.0)

    def pause(
        self, now: float, seconds: float | None, *, sent_at: float, longest_s: float = 60.0
    ) -> float:
        """Closes for as long as asked, or for a growing time when the origin did not say. Returns until when.

        An origin that says "at once", or a time in the past, and then refuses again has not said how long either:
        believing it would cost it as many requests as it can answer. `sent_at` is when the request was sent that was answered so.
        """
        if sent_at >= self._paused_at or not self._pauses:
            self._pauses += 1
            self._paused_at = now
        said = seconds is not None and (seconds >= SAID_S or self._pauses <= 1)
        grown_s = doubling_s(1.0, self._pauses, longest_s)
        wait_s = seconds if said and seconds is not None else max(seconds or 0.0, grown_s)
        self._closed_until = max(self._closed_until, now + wait_s)
        self._probing, self._probe_sent = True, None
        return self._closed_until

    def succeeded(self, sent_at: float) -> None:
        """A request came back well: the gate is open for all."""
        if sent_at >= self._paused_at:
            self._probing, self._probe_sent, self._pauses = False, None, 0

    def released(self, sent_at: float) -> None:
        """A request came back without saying anything about the limit: another one may probe."""
        if sent_at >= self._paused_at:
            self._probe_sent = None
