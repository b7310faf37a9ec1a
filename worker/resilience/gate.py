"""The gate of an origin and credential: a rate limit, and the pauses that the origin asks for.

Pure: it is told the time and decides; it never waits. After a pause one request goes ahead as a
probe, and the others follow when it has succeeded, so that a storm of 429 costs one request for
each window, however many partitions wait. Requests that were sent before the pause say nothing
about the time after it: the rest of a burst neither makes the pause longer nor opens the gate.

Where the limit is what holds them back, the pipelines that share a gate take turns: one that has
had less goes before one that has had more, as long as it comes when it was told to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from worker.resilience.backoff import doubling_s
from worker.resilience.limits import Expectations, Limit, Spending

PROBE_PATIENCE_S: Final = 30.0
SAID_S: Final = 1.0  # a shorter wait than this ("come back at once") is believed once
LOOK_S: Final = 0.1  # what depends on the answers of others is looked at again after this
TURN_S: Final = 0.02  # whoever lets others go first comes again after this


class Gate:
    """What was spent under its limits, and the time until which it is closed."""

    def __init__(self, limits: Sequence[Limit] = ()) -> None:
        self._limits = tuple(limits)
        self._spending = [Spending(each) for each in limits]
        self._askers: list[Expectations] = []
        self._turn = 0.0
        self._paused_at = self._closed_until = 0.0
        self._probing = False
        self._probe_sent: float | None = None
        self._pauses = 0

    def __repr__(self) -> str:
        probing = " probing" if self._probing else ""
        return f"<Gate {self._spending} closed_until={self._closed_until:.1f}{probing}>"

    def asker(self) -> Expectations:
        """One more of those that share the gate."""
        asker = Expectations(self._limits)
        self._askers.append(asker)
        return asker

    def spending(self, now: float) -> list[tuple[Limit, float]]:
        """Each limit, and how much of it counts at a time, with what is in flight."""
        return [(each.limit, each.used(now) + each.held) for each in self._spending]

    def acquire(self, now: float, asker: Expectations | None = None) -> float | None:
        """None when the request may be made now; otherwise when to ask again.

        Whoever is let through settles what the request has cost once it is over.
        """
        if now < self._closed_until:
            return self._closed_until
        if (
            self._probing
            and self._probe_sent is not None
            and now - self._probe_sent < PROBE_PATIENCE_S
        ):
            return now + 0.1
        if self._spending and (until := self._spend(now, asker or self._anyone)) is not None:
            return until
        if self._probing:
            self._probe_sent = now
        return None

    @property
    def _anyone(self) -> Expectations:
        """Whoever does not say who it is."""
        return self._askers[0] if self._askers else self.asker()

    def _spend(self, now: float, asker: Expectations) -> float | None:
        """Books a request, or says when there will be room for it."""
        asker.comes(now, self._turn)
        expected = asker.expected()
        until = max(
            each.opens(now, amount) for each, amount in zip(self._spending, expected, strict=True)
        )
        if until <= now and not self._is_turn(now, asker, expected):
            until = now + TURN_S
        if until > now:
            until = now + LOOK_S if math.isinf(until) else until
            asker.told.append(until)
            return until
        pairs = zip(self._spending, expected, strict=True)
        asker.granted = tuple(each.take(now, amount) for each, amount in pairs)
        self._turn = max(asker.served, self._turn)
        asker.served += 1.0
        return None

    def _is_turn(self, now: float, asker: Expectations, expected: tuple[float, ...]) -> bool:
        """Whether there is room for those that have had less and wait, and for one more."""
        wanted = list(expected)
        for each in self._askers:
            if each is not asker and (before := each.ahead_of(asker, now)):
                for number, amount in enumerate(each.expected()):
                    wanted[number] += before * amount
        if wanted == list(expected):
            return True
        pairs = zip(self._spending, wanted, strict=True)
        return all(each.has_room(now, amount) for each, amount in pairs)

    def settle(
        self, now: float, asker: Expectations, held: Sequence[float], costs: Sequence[float | None]
    ) -> None:
        """A request that was let through is over.

        Args:
            held: what was expected of it.
            costs: what it cost under each limit, where its answer said so.
        """
        for number, each in enumerate(self._spending):
            if each.limit.cost:
                cost = costs[number] if costs else None
                each.settle(now, held[number], asker.cost(number) if cost is None else cost)
                if cost is not None:
                    asker.learn(number, cost)

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
