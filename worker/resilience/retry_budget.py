"""How much of what is sent may be retries: a share of first attempts, and a few calls in any case.

Without it every caller of an origin that fails retries at the same time, and the origin gets a
multiple of its usual load just when it can bear none. A call that is refused is not lost: it is
told its turn, and turns are `spacing_s` apart, so that refused calls come back one by one, however
many there are.

The floor counts calls, not retries (Envoy's model): a few callers, or a single one, retry as if
there were no budget. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Final

SLOTS: Final = 10  # the window moves in this many steps


class RetryBudget:
    """How many retries an origin gets.

    Args:
        share: retries may be this share of the first attempts of the last `window_s` seconds.
        floor: so many calls may retry at the same time whatever the share is.
        spacing_s: between the turns of calls that were refused.
        longest_s: no turn is later than this from now.
    """

    def __init__(
        self,
        share: float = 0.2,
        floor: int = 3,
        *,
        window_s: float = 10.0,
        spacing_s: float = 0.5,
        longest_s: float = 60.0,
    ) -> None:
        self._share, self._floor, self._slot_s = share, floor, window_s / SLOTS
        self._spacing_s, self._longest_s = spacing_s, longest_s
        # number of the slot, and the first attempts and retries in it
        self._slots: deque[tuple[int, list[int]]] = deque()
        self._last_turn = 0.0
        self.firsts = self.retries = 0
        self._retrying: dict[Hashable, float] = {}  # calls, and when each is over at the latest

    def __repr__(self) -> str:
        return f"<RetryBudget firsts={self.firsts} retries={self.retries} retrying={self.retrying}>"

    @property
    def retrying(self) -> int:
        """How many calls retry."""
        return len(self._retrying)

    def first(self, now: float) -> None:
        """A call makes its first attempt."""
        self._slot(now)[0] += 1
        self.firsts += 1

    def retry(self, call: Hashable, now: float, *, until: float) -> bool:
        """Whether a call may make another attempt. A call that may says `done` when it has ended.

        Args:
            until: when the call is over though nobody said so: its caller was stopped between two
                attempts.
        """
        self._retrying = {each: end for each, end in self._retrying.items() if end > now}
        slot = self._slot(now)
        beyond_floor = len(self._retrying.keys() | {call}) > self._floor
        if beyond_floor and self.retries + 1 > self._share * self.firsts:
            return False
        self._retrying[call] = until
        slot[1] += 1
        self.retries += 1
        return True

    def done(self, call: Hashable) -> None:
        """A call has ended, whether it retried or not."""
        self._retrying.pop(call, None)

    def turn(self, now: float) -> float:
        """When a call that was refused may come again."""
        turn = max(self._last_turn, now) + self._spacing_s
        if turn > now + self._longest_s:
            # more calls than turns: share them out again, but never all to the same one
            turn = now + self._longest_s / 2
        self._last_turn = turn
        return turn

    def _slot(self, now: float) -> list[int]:
        number = int(now // self._slot_s)
        while self._slots and self._slots[0][0] <= number - SLOTS:
            _, (firsts, retries) = self._slots.popleft()
            self.firsts -= firsts
            self.retries -= retries
        if not self._slots or self._slots[-1][0] != number:
            self._slots.append((number, [0, 0]))
        return self._slots[-1][1]
