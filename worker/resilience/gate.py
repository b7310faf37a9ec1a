"""The gate of an origin and credential: a rate limit, and the pauses that the origin asks for.

Pure: it is told the time and decides; it never waits. After a pause one request goes ahead as a
probe, and the others follow when it has succeeded, so that a storm of 429 costs one request for
each window, however many partitions wait. Requests that were sent before the pause say nothing
about the time after it: the rest of a burst neither makes the pause longer nor opens the gate.
"""

from __future__ import annotations

from typing import Final

from worker.resilience.backoff import doubling_s

PROBE_PATIENCE_S: Final = 30.0
SAID_S: Final = 1.0  # a shorter wait than this ("come back at once") is believed once
_WHOLE: Final = 1.0 - 1e-6  # of a token, after rounding: who comes when told is let through


class Gate:
    """A bucket of tokens, and the time until which it is closed.

    Args:
        requests: how many may be made within `per_s` seconds; None: no rate limit.
    """

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
        probing = " probing" if self._probing else ""
        return f"<Gate tokens={self._tokens:.1f} closed_until={self._closed_until:.1f}{probing}>"

    def acquire(self, now: float) -> float | None:
        """None when the request may be made now; otherwise when to ask again."""
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
        """Whether more than our own rate limit holds requests back.

        That is so while a pause lasts that the origin asked for, and after it until a request has
        come back well.
        """
        return now < self._closed_until or self._probing

    def closed_for(self, now: float) -> float:
        """Seconds until a pause that the origin asked for is over; 0 when there is none."""
        return max(self._closed_until - now, 0.0)

    def pause(
        self, now: float, seconds: float | None, *, sent_at: float, longest_s: float = 60.0
    ) -> float:
        """Closes for as long as the origin asked, or for a growing time when it did not say.

        An origin that says "at once", or a time in the past, and then refuses again has not said
        how long either: believing it would cost it as many requests as it can answer.

        Args:
            seconds: what the origin asked for; None: nothing.
            sent_at: when the request was sent that was answered so.
            longest_s: of the growing times.

        Returns:
            Until when it is closed.
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
