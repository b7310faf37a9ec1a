"""What the pages of all pipelines may hold in memory together: bodies in flight, decoded pages, and
what was made of them until it is written.

Rule 1: what is reserved is what will be held. A request reserves the body that it will bring. When
        the body is here, its decoding is reserved too, by what that very body will cost. What is
        made of a page is part of what the page has reserved.
Rule 2: a request is made only while there is room, beside everything that is held, for the largest
        decoding that is still to come, so that one of the bodies in flight can always be decoded.
        A page that is asked for ahead of others reserves its decoding at once: it waits for them
        decoded.
Rule 3: a pipeline decodes ahead of its writer up to `AHEAD_BYTES`, and asks for no more where it
        would hold more than it leaves free for the others. One page of it may pass in any case.
Rule 4: those that wait are served in the order in which they came, but who fits goes before who
        does not. A request that has waited for `PATIENCE_S` keeps later ones out for a tenth of
        that time, and again after as long: small pages do not keep a large one waiting for ever,
        and it costs them at most a tenth of their pace, even where its room never comes.
Rule 5: a page that needs more than there is for all pages is refused. One that is larger than was
        expected, so that the bodies in flight leave it no room, is given back, and is asked for
        again with what it needs.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from worker.core.errors import Deferred, OverMemory
from worker.core.sizes import in_mib

AHEAD_BYTES: Final = 8 * 1024 * 1024
"""What a pipeline may have decoded and not written; more brings no speed (decision 0003)."""
PATIENCE_S: Final = 10.0
DOOR_S: Final = PATIENCE_S / 10
DECODES_WITHIN_S: Final = 30.0
"""A body that has waited so long to be decoded is given back: its request has a deadline."""

FIRST_BODY_BYTES: Final = 256 * 1024
FIRST_PART: Final = 128
DECODED_FACTOR: Final = 4
"""A decoded page of no known weight takes so many times its body, the body included."""

State = Literal["flying", "kept", "ahead"]


@dataclass(slots=True)
class Expected:
    """What pages of a pipeline take, as far as the last ones tell: the largest that came lately.

    Attributes:
        body_bytes: of a body.
        page_bytes: of the body and the decoded page together.
        known: a page has come; before that it is a guess.
    """

    body_bytes: int
    page_bytes: int
    known: bool = False

    def came(self, body_bytes: int, page_bytes: int) -> None:
        """Another page has come."""
        if not self.known:
            self.known, self.body_bytes, self.page_bytes = True, body_bytes, page_bytes
        self.body_bytes = max(body_bytes, (self.body_bytes * 7 + body_bytes) // 8)
        self.page_bytes = max(page_bytes, (self.page_bytes * 7 + page_bytes) // 8)


class Hold:
    """What one page holds of a share, until it is released.

    Attributes:
        size_bytes: what is reserved.
        growth_bytes: what its decoding will probably take beside that.
        state: `flying` until its body may be decoded; `kept` until the pages before it have come;
            `ahead` until it is written.
    """

    __slots__ = ("growth_bytes", "share", "size_bytes", "state")

    def __init__(self, share: Share, state: State = "flying") -> None:
        self.share, self.state = share, state
        self.size_bytes = self.growth_bytes = 0

    def __repr__(self) -> str:
        return f"<Hold {self.state} {self.size_bytes}+{self.growth_bytes}>"

    async def decode(self, size_bytes: int, *, now: bool = False) -> None:
        """Waits until there is room for the decoded page, its body included, and takes it.

        Raises OverMemory for a page that can never be decoded, and Deferred where it must be given
        back.

        Args:
            now: it does not wait, but takes more than there is if need be: others wait for it.
        """
        await self.share.budget.decode(self, size_bytes, now=now)

    def resize(self, size_bytes: int) -> None:
        """Has so much from now on, whether there is room or not."""
        if by := size_bytes - self.size_bytes:
            self.size_bytes = size_bytes
            self.share.change(self.state, by)

    def become(self, state: State) -> None:
        """The page goes on."""
        self.share.move(self.size_bytes, self.state, state)
        self.state = state
        self.share.budget.land(self)

    def take(self, size_bytes: int) -> Hold:
        """A hold of its own for a part of the page, out of what this one has, and beyond."""
        part = Hold(self.share, self.state)
        part.size_bytes = min(size_bytes, self.size_bytes)
        self.size_bytes -= part.size_bytes
        part.resize(size_bytes)
        return part

    def release(self) -> None:
        """Gives everything back. Nothing happens the second time."""
        self.resize(0)
        self.share.budget.land(self)
        self.share.budget.look()


@dataclass(slots=True, eq=False)
class Share:
    """What one pipeline has of the budget.

    Attributes:
        cap_bytes: what it may hold, but for one page.
        held: bytes by the state of its pages.
        held_bytes: of all of them.
    """

    budget: Budget
    cap_bytes: float = math.inf
    held: Counter[State] = field(default_factory=Counter)
    held_bytes: int = 0
    closed: bool = False

    def __repr__(self) -> str:
        return f"<Share {dict(+self.held)} of {self.budget!r}>"

    @property
    def ahead_bound(self) -> int:
        """How many bytes may be decoded and not written."""
        return int(min(AHEAD_BYTES, self.cap_bytes, self.budget.bound_bytes))

    def expected(self) -> Expected:
        """What is expected of pages of which nothing is known: a small part of what there is."""
        body_bytes = min(FIRST_BODY_BYTES, self.budget.bound_bytes // FIRST_PART)
        return Expected(body_bytes, body_bytes * DECODED_FACTOR)

    async def reserve(
        self, expected: Expected, *, early: bool = False, force: bool = False
    ) -> Hold:
        """Waits for room for the body that a request will bring, and takes it.

        Args:
            expected: what the page will take, as far as that is known when there is room.
            early: the page is asked for ahead of others.
            force: it does not wait, but takes more than there is if need be.
        """
        return await self.budget.ask(_Request(self, expected, early), force=force)

    def change(self, state: State, by: int) -> None:
        """Its pages in a state hold so much more."""
        self.held[state] += by
        self.held_bytes += by
        if not self.closed:
            self.budget.held[state] += by
            self.budget.used_bytes += by

    def move(self, size_bytes: int, before: State, after: State) -> None:
        """A page that holds so much goes on from one state to another."""
        for held in (self.held,) if self.closed else (self.held, self.budget.held):
            held[before] -= size_bytes
            held[after] += size_bytes

    def close(self) -> None:
        """Nothing of it is held any more, whoever still has a page of it."""
        if not self.closed:
            self.closed = True
            self.budget.leave(self)

    def may_ask(self, size_bytes: int) -> bool:
        """Whether this pipeline may hold so much more, if there is room."""
        if not (held := self.held_bytes):
            return True
        fair = self.budget.shares < 2 or held + 2 * size_bytes <= self.budget.free_bytes
        capped = held + size_bytes <= self.cap_bytes
        return fair and capped and self.held["ahead"] < self.ahead_bound

    def may_decode(self, hold: Hold, size_bytes: int) -> bool:
        """Whether it may have so much more decoded, if there is room."""
        ahead, others = self.held["ahead"], self.held_bytes - hold.size_bytes
        fits = ahead + size_bytes <= self.ahead_bound and others + size_bytes <= self.cap_bytes
        return fits or not ahead


@dataclass(slots=True, eq=False)
class _Request:
    """One that waits for room for a body."""

    share: Share
    expected: Expected
    early: bool
    since: float = 0.0
    admitted: asyncio.Future[Hold] = field(init=False)

    @property
    def size_bytes(self) -> int:
        return self.expected.page_bytes if self.early else self.expected.body_bytes

    def fits(self, budget: Budget) -> bool:
        if not self.share.may_ask(self.size_bytes):
            return False
        to_come = max(self.expected.page_bytes - self.size_bytes, budget.growth_bytes)
        return not budget.used_bytes or self.size_bytes + to_come <= budget.free_bytes

    def take(self) -> Hold:
        hold = Hold(self.share)
        hold.resize(self.size_bytes)
        hold.growth_bytes = self.expected.page_bytes - self.size_bytes
        self.share.budget.fly(hold)
        return hold


@dataclass(slots=True, eq=False)
class _Body:
    """One that waits for room to be decoded."""

    hold: Hold
    size_bytes: int
    admitted: asyncio.Future[Hold] = field(init=False)

    def fits(self, budget: Budget) -> bool:
        if not self.hold.share.may_decode(self.hold, self.size_bytes):
            return False
        return self.size_bytes - self.hold.size_bytes <= budget.free_bytes

    def take(self) -> Hold:
        self.hold.become("kept")
        self.hold.resize(self.size_bytes)
        return self.hold


class Budget:
    """What all pipelines of a process have together.

    Args:
        monotonic: seconds, which patience is measured in.

    Attributes:
        held: bytes by the state of pages.
        used_bytes: of all of them.
        shares: how many pipelines have one.
    """

    def __init__(self, bound_bytes: int, monotonic: Callable[[], float]) -> None:
        self.bound_bytes, self._monotonic = bound_bytes, monotonic
        self.held: Counter[State] = Counter()
        self.used_bytes = 0
        self.shares = 0
        self._flying: set[Hold] = set()
        self._bodies: list[_Body] = []
        self._requests: list[_Request] = []
        self._reopens: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        waiting = f"{len(self._requests)}+{len(self._bodies)}"
        return f"<Budget used={self.used_bytes}/{self.bound_bytes} waiting={waiting}>"

    @property
    def free_bytes(self) -> int:
        return self.bound_bytes - self.used_bytes

    @property
    def growth_bytes(self) -> int:
        """What the largest decoding takes that is still to come."""
        return max((hold.growth_bytes for hold in self._flying), default=0)

    def share(self, cap_bytes: int | None = None) -> Share:
        """The share of a further pipeline, which closes it when it ends."""
        self.shares += 1
        return Share(self, math.inf if cap_bytes is None else cap_bytes)

    def leave(self, share: Share) -> None:
        """A pipeline has ended, and all its pages are thrown away."""
        self.shares -= 1
        self.held.subtract(share.held)
        self.used_bytes -= share.held_bytes
        self._flying = {hold for hold in self._flying if hold.share is not share}
        self.look()

    async def ask(self, request: _Request, *, force: bool) -> Hold:
        """Room for the body of a request, in its turn; see `Share.reserve`."""
        if force or (not self._requests and request.fits(self)):
            return request.take()
        request.since = self._monotonic()
        self._requests.append(request)
        return await self._turn(request)

    async def decode(self, hold: Hold, size_bytes: int, *, now: bool) -> None:
        """Room for a body to be decoded, in its turn; see `Hold.decode`."""
        refuse_over(size_bytes, self.bound_bytes)
        body = _Body(hold, size_bytes)
        if now or size_bytes <= hold.size_bytes or (not self._bodies and body.fits(self)):
            body.take()
            self.look()
            return
        hold.growth_bytes = size_bytes - hold.size_bytes
        others = self.held["flying"] + self.held["kept"] - hold.size_bytes
        if others + size_bytes > self.bound_bytes:
            raise _given_back(size_bytes)
        try:
            async with asyncio.timeout(DECODES_WITHIN_S):
                self._bodies.append(body)
                await self._turn(body)
        except TimeoutError:
            raise _given_back(size_bytes) from None

    def fly(self, hold: Hold) -> None:
        """From now on room is left for the decoding of the page."""
        self._flying.add(hold)

    def land(self, hold: Hold) -> None:
        """The page grows no more: it is decoded, or gone."""
        hold.growth_bytes = 0
        self._flying.discard(hold)

    def look(self) -> None:
        """Serves those that wait and fit now. After everything that may have made room."""
        if self._bodies:
            self._bodies = [body for body in self._bodies if not self._admit(body)]
        if self._requests:
            self._requests = self._still_waiting(self._requests)

    def _still_waiting(self, requests: Sequence[_Request]) -> list[_Request]:
        now, waiting = self._monotonic(), list[_Request]()
        for number, request in enumerate(requests):
            if self._admit(request):
                continue
            waiting.append(request)
            if (opens_s := self._keeps_out_s(request, now)) > 0.0:
                self._open_again(opens_s)
                return [*waiting, *requests[number + 1 :]]
        return waiting

    def _keeps_out_s(self, request: _Request, now: float) -> float:
        """For how long later requests have to wait for this one: not where its own pipeline keeps
        it waiting.
        """
        waited_s = (now - request.since) % (PATIENCE_S + DOOR_S)
        kept_out_s = PATIENCE_S + DOOR_S - waited_s
        return kept_out_s if waited_s >= PATIENCE_S and request.share.may_ask(0) else 0.0

    def _open_again(self, after_s: float) -> None:
        if self._reopens is None:
            self._reopens = asyncio.get_running_loop().call_later(after_s, self._opened)

    def _opened(self) -> None:
        self._reopens = None
        self.look()

    # -- turns -------------------------------------------------------------------------------------

    async def _turn(self, waiter: _Request | _Body) -> Hold:
        """Waits until it is served."""
        waiter.admitted = asyncio.get_running_loop().create_future()
        self.look()
        try:
            return await waiter.admitted
        except BaseException:
            if waiter.admitted.done() and not waiter.admitted.cancelled():
                waiter.admitted.result().release()
            else:
                waiter.admitted.cancel()
                self.look()
            raise

    def _admit(self, waiter: _Request | _Body) -> bool:
        """Whether it need not wait any more: it is served now, or has gone."""
        if waiter.admitted.done():
            return True
        if not waiter.fits(self):
            return False
        waiter.admitted.set_result(waiter.take())
        return True


def refuse_over(size_bytes: int, bound_bytes: int) -> None:
    """Raises OverMemory for a page that can never be decoded."""
    if size_bytes > bound_bytes:
        raise OverMemory(
            f"the page would hold {in_mib(size_bytes)} of memory when it is decoded, and there are "
            f"{in_mib(bound_bytes)} for all pages"
        )


def _given_back(size_bytes: int) -> Deferred:
    return Deferred(0.0, f"no memory for a page that holds {in_mib(size_bytes)}", paced=True)
