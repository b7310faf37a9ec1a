"""Rate limits: so much within each stretch of time, exactly. Pure.

A limit counts requests, or what they cost, which only their answers say. It holds for every
stretch of its length, wherever that begins: a source that counts by the minute on its clock, over
the last minute, or by a bucket that it fills, is never asked for more than it allows.

What a request costs is expected to be about what the last ones cost, and that much is held back
while it is in flight. Before the first answer nothing is known, so one request goes alone. What it
cost counts from when the answer came, because the source has booked it by then.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

PARTS: Final = 1024
"""What is spent within this part of the length of a limit is kept as one: its memory is bounded."""
FADE: Final = 8
"""A high cost is expected for about so many requests after it."""
LATE_S: Final = 1.0
"""A request that was told when to come again is let go first for so long after that."""
UNKNOWN: Final = math.inf
"""What a request is expected to cost while nothing is known: all that is left."""
_HAIR: Final = 1e-9
"""What sums of costs may be off by, of the whole."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `amount` in each `per_s` seconds: of requests, or of what they cost."""

    amount: float
    per_s: float
    cost: bool = False


@dataclass(slots=True)
class _Spent:
    first: float
    last: float
    amount: float


class Spending:
    """What was spent under one limit, and what requests in flight are expected to."""

    def __init__(self, limit: Limit) -> None:
        self.limit, self.held = limit, 0.0
        # half a request a second is one in two; what is left of a request is none
        self._least = 1.0 if not limit.cost and limit.amount < 1 else 0.0
        self.per_s = limit.per_s / limit.amount if self._least else limit.per_s
        self.amount = self._least or (limit.amount if limit.cost else float(int(limit.amount)))
        self._parts: deque[_Spent] = deque()
        self._sum = 0.0

    def __repr__(self) -> str:
        return f"<Spending {self._sum:g}+{self.held:g} of {self.amount:g} in {self.per_s:g} s>"

    def used(self, now: float) -> float:
        """What counts at a time, without what is in flight."""
        parts = self._parts
        while parts and parts[0].last + self.per_s <= now:
            self._sum -= parts.popleft().amount
        if not parts:
            self._sum = 0.0
        return self._sum

    def take(self, now: float, expected: float) -> float:
        """Books a request that may be made; what is held back of what it is expected to cost."""
        if not self.limit.cost:
            self.spend(now, expected)
            return 0.0
        held = self.amount - self.used(now) if expected == UNKNOWN else min(expected, self.amount)
        self.held += held
        return held

    def settle(self, now: float, held: float, cost: float) -> None:
        """Books what a request has cost for which so much was held back."""
        self.held = max(self.held - held, 0.0)
        self.spend(now, cost)

    def has_room(self, now: float, wanted: float) -> bool:
        """Whether so much, of several requests together, may be spent now."""
        left = self.amount - self.used(now) - self.held
        return wanted <= left + _HAIR * self.amount

    def opens(self, now: float, expected: float) -> float:
        """When so much may be spent: now, or later; endless while that is for answers to say."""
        used = self.used(now)
        if expected == UNKNOWN:
            if self.held:
                return math.inf
            return now if used < self.amount else self._after(used - self.amount, inclusive=True)
        over = used + self.held + min(expected, self.amount) - self.amount
        if over <= _HAIR * self.amount:
            return now
        return self._after(over) if over <= used + _HAIR * self.amount else math.inf

    def _after(self, over: float, *, inclusive: bool = False) -> float:
        """When more than `over` (or so much) of what was spent counts no more."""
        gone = 0.0
        for part in self._parts:
            gone += part.amount
            if gone > over if inclusive else gone >= over - _HAIR * self.amount:
                return part.last + self.per_s
        return math.inf

    def spend(self, now: float, amount: float) -> None:
        """Books what was spent at a time."""
        if amount <= 0:
            return
        last = self._parts[-1] if self._parts else None
        if last is not None and now - last.first < self.per_s / PARTS:
            last.last, last.amount = max(now, last.last), last.amount + amount
        else:
            at = now if last is None else max(now, last.last)
            self._parts.append(_Spent(at, at, amount))
        self._sum += amount


class Expectations:
    """What the requests of one pipeline are expected to spend under the limits of its gate.

    Attributes:
        served: how much of the gate it has had, in the measure of whose turn it is.
        told: when those of its requests that were refused are to come again.
        granted: what is held back of its last request that was let through.
    """

    def __init__(self, limits: tuple[Limit, ...]) -> None:
        self.served = 0.0
        self.told: deque[float] = deque()
        self.granted: tuple[float, ...] = ()
        self._limits = limits
        self._costs = [UNKNOWN if each.cost else 1.0 for each in limits]

    def comes(self, now: float, turn: float) -> None:
        """A request asks, maybe again; those that are late are waited for no more.

        Args:
            turn: how much those have had whose turn it is. Who has not waited so far is no
                further behind than they are: nobody saves up what was not asked for.
        """
        if not self.told:
            self.served = max(self.served, turn)
        while self.told and self.told[0] + LATE_S <= now:
            self.told.popleft()
        if self.told and self.told[0] <= now:
            self.told.popleft()

    def ahead_of(self, other: Expectations, now: float) -> int:
        """How many of its requests go before the next one of another pipeline."""
        behind = other.served - self.served
        if behind <= 0 or not self.told or self.told[-1] + LATE_S <= now:
            return 0
        return min(len(self.told), math.ceil(behind))

    def expected(self) -> tuple[float, ...]:
        """The amount of the next request, for each limit."""
        return tuple(self._costs)

    def cost(self, number: int) -> float:
        """What a request is taken to have cost whose answer did not say."""
        known = self._costs[number]
        return 1.0 if known == UNKNOWN else known

    def learn(self, number: int, cost: float) -> None:
        """A request cost so much under one of the limits."""
        known = self._costs[number]
        self._costs[number] = cost if known == UNKNOWN else max(cost, known - (known - cost) / FADE)
