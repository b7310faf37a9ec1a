"""What the pages of all pipelines may hold in memory together: bodies in flight, decoded pages, and
what was made of them until it is written.

Rule 1: what is reserved is what will be held. A request reserves the body that it will bring, as
        far as earlier ones tell; a body that turns out to be larger reserves the rest while it
        comes in, before it is kept. When the body is here, its decoding is reserved too, by what
        that very body will cost. What is made of a page is part of what the page has reserved.
Rule 2: a request is made, and a body grows, only while there is room, beside everything that is
        held, for the largest decoding that is still to come, so that one of the bodies in flight
        can always be decoded. A page that is asked for ahead of others reserves its decoding at
        once: it waits for them decoded.
Rule 3: a pipeline decodes ahead of its writer up to `AHEAD_BYTES`, and neither asks for more nor
        receives more where it would hold more than it leaves free for the others. One page of it
        may pass in any case.
Rule 4: those that wait are served in the order in which they came, but who fits goes before who
        does not. A request that has waited for `PATIENCE_S` keeps later ones out for a tenth of
        that time, and then again after twice as long for twice as long: small pages do not keep a
        large one waiting for ever, however long their requests take, and it costs them at most a
        tenth of their pace, even where its room never comes.
Rule 5: a page that needs more than there is for all pages is refused. One that is larger than was
        expected waits a while for its room, but not for bodies that wait like it: where all bodies
        wait, the last one is given back, so that the others go on. What is given back is asked for
        again, and reserves all that it needs before it is. So whoever waits without an end holds
        nothing, and no page is given back twice for the same size.
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
from worker.runtime.expected import FIRST_BODY_BYTES, Expected

AHEAD_BYTES: Final = 8 * 1024 * 1024
"""What a pipeline may have decoded and not written; more brings no speed (decision 0003)."""
PATIENCE_S: Final = 10.0
DOOR_S: Final = PATIENCE_S / 10
DECODES_WITHIN_S: Final = 30.0
"""A body that has waited so long to be decoded is given back: its request has a deadline."""
RECEIVES_WITHIN_S: Final = 10.0
"""So long a body waits to come in further, in all: the time for its exchange goes on meanwhile."""
FIRST_PART: Final = 128

State = Literal["flying", "decoding", "kept", "ahead"]


class NoRoom(Deferred):
    """There is no memory for a page now, though it could be held alone.
    It is asked for again when there is room for the whole of it.

    Attributes:
        page_bytes: what it takes, its body included, as far as that is known.
    """

    def __init__(self, page_bytes: int) -> None:
        super().__init__(0.0, f"no memory for a page that holds {in_mib(page_bytes)}", paced=True)
        self.page_bytes = page_bytes


class Hold:
    """What one page holds of a share, until it is released.

    Attributes:
        size_bytes: what is reserved.
        growth_bytes: what its decoding will probably take beside that.
        state: `flying` until its body may be decoded; `decoding`; `kept` until the pages before it
            have come; `ahead` until it is written.
        patience_s: how long its body may still wait to come in further.
    """

    __slots__ = ("growth_bytes", "patience_s", "share", "size_bytes", "state")

    def __init__(self, share: Share, state: State = "flying") -> None:
        self.share, self.state = share, state
        self.size_bytes = self.growth_bytes = 0
        self.patience_s = RECEIVES_WITHIN_S

    def __repr__(self) -> str:
        return f"<Hold {self.state} {self.size_bytes}+{self.growth_bytes}>"

    def grow(self, body_bytes: int, page_bytes: int) -> bool:
        """Takes room for a body that is larger than was expected; False where there is none now.

        Raises OverMemory for a body that can never be held.

        Args:
            body_bytes: what has come of it.
            page_bytes: what the page will probably take, its body included.
        """
        return self.share.budget.grow(self, body_bytes, page_bytes)

    async def grow_later(self, body_bytes: int, page_bytes: int) -> None:
        """Waits for the room that `grow` did not find, and takes it. Raises NoRoom."""
        await self.share.budget.grow_later(self, body_bytes, page_bytes)

    async def decode(self, size_bytes: int, *, waits: bool = True, urgent: bool = False) -> None:
        """Waits until there is room for the decoded page, its body included, and takes it.

        Raises OverMemory for a page that can never be decoded, and NoRoom where it must be given
        back.

        Args:
            waits: False: it is given back where there is no room now.
            urgent: others wait for it, so that it does not wait for its own pipeline.
        """
        await self.share.budget.decode(self, size_bytes, waits=waits, urgent=urgent)

    def resize(self, size_bytes: int) -> None:
        """Has so much from now on, whether there is room or not."""
        if by := size_bytes - self.size_bytes:
            self.size_bytes = size_bytes
            self.share.change(self.state, by)

    def become(self, state: State) -> None:
        """The page goes on."""
        self.share.move(self.size_bytes, self.state, state)
        before, self.state = self.state, state
        if before == "flying":
            self.share.budget.land(self)
        if state == "kept":
            self.share.budget.look()  # nobody waits for it any more

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
        if self.state == "flying":
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
        return Expected.unknown(self.budget.step_bytes)

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

    def has_room(self, expected: Expected) -> bool:
        """Whether there is room for such a body, whatever this pipeline holds already."""
        return not self.budget.used_bytes or expected.page_bytes <= self.budget.free_bytes

    def change(self, state: State, by: int) -> None:
        """Its pages in a state hold so much more."""
        self.held[state] += by
        self.held_bytes += by
        if not self.closed:
            self.budget.held[state] += by
            self.budget.used_bytes += by

    def move(self, size_bytes: int, before: State, after: State) -> None:
        """A page that holds so much goes on from one state to another."""
        self.held[before] -= size_bytes
        self.held[after] += size_bytes
        if not self.closed:
            self.budget.held[before] -= size_bytes
            self.budget.held[after] += size_bytes

    def close(self) -> None:
        """Nothing of it is held any more, whoever still has a page of it."""
        if not self.closed:
            self.closed = True
            self.budget.leave(self)

    def may_ask(self, size_bytes: int) -> bool:
        """Whether this pipeline may ask for so much more, if there is room."""
        return not self.held_bytes or (
            self._leaves(size_bytes) and self.held["ahead"] < self.ahead_bound
        )

    def may_grow(self, hold: Hold, by: int) -> bool:
        """Whether it may receive so much more of a body, if there is room."""
        return self.held_bytes == hold.size_bytes or self._leaves(by)

    def _leaves(self, by: int) -> bool:
        """Whether it leaves as much to the others as it holds, with so much more."""
        held = self.held_bytes + by
        return held <= self.cap_bytes and (
            self.budget.shares < 2 or held + by <= self.budget.free_bytes
        )

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

    def sizes(self) -> tuple[int, int]:
        """What it reserves, and what its page will hold in the end."""
        page_bytes = min(self.expected.page_bytes, self.share.budget.bound_bytes)
        return page_bytes if self.early else min(self.expected.body_bytes, page_bytes), page_bytes

    def fits(self, budget: Budget) -> bool:
        size_bytes, page_bytes = self.sizes()
        if not self.share.may_ask(size_bytes):
            return False
        to_come = max(page_bytes - size_bytes, budget.growth_bytes)
        return not budget.used_bytes or size_bytes + to_come <= budget.free_bytes

    def take(self) -> Hold:
        size_bytes, page_bytes = self.sizes()
        hold = Hold(self.share)
        hold.resize(size_bytes)
        hold.growth_bytes = page_bytes - size_bytes
        self.share.budget.fly(hold)
        return hold


@dataclass(slots=True, eq=False)
class _Growth:
    """A body in flight that waits for room to come in further."""

    hold: Hold
    size_bytes: int
    page_bytes: int
    admitted: asyncio.Future[Hold] = field(init=False)

    @property
    def by(self) -> int:
        return self.size_bytes - self.hold.size_bytes

    def may(self) -> bool:
        return self.hold.share.may_grow(self.hold, self.by)

    def fits(self, budget: Budget) -> bool:
        if budget.used_bytes == self.hold.size_bytes:
            return True
        to_come = max(self.page_bytes - self.size_bytes, budget.growth_bytes)
        return self.may() and self.by + to_come <= budget.free_bytes

    def take(self) -> Hold:
        self.hold.resize(self.size_bytes)
        self.hold.growth_bytes = self.page_bytes - self.size_bytes
        return self.hold


@dataclass(slots=True, eq=False)
class _Body:
    """One that waits for room to be decoded."""

    hold: Hold
    page_bytes: int
    urgent: bool
    admitted: asyncio.Future[Hold] = field(init=False)

    @property
    def by(self) -> int:
        return self.page_bytes - self.hold.size_bytes

    def may(self) -> bool:
        return self.urgent or self.hold.share.may_decode(self.hold, self.page_bytes)

    def fits(self, budget: Budget) -> bool:
        return self.by <= 0 or (self.may() and self.by <= budget.free_bytes)

    def take(self) -> Hold:
        self.hold.become("decoding")
        self.hold.resize(self.page_bytes)
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
        self._bodies: list[_Growth | _Body] = []
        self._requests: list[_Request] = []
        self._reopens: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        waiting = f"{len(self._requests)}+{len(self._bodies)}"
        return f"<Budget used={self.used_bytes}/{self.bound_bytes} waiting={waiting}>"

    @property
    def free_bytes(self) -> int:
        return self.bound_bytes - self.used_bytes

    @property
    def step_bytes(self) -> int:
        """A small part of what there is: bodies are expected to take it, and grow by it."""
        return min(FIRST_BODY_BYTES, self.bound_bytes // FIRST_PART)

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

    def grow(self, hold: Hold, body_bytes: int, page_bytes: int) -> bool:
        """Whether a body has its room; see `Hold.grow`."""
        refuse_over(body_bytes, self.bound_bytes)
        growth = self._growth(hold, body_bytes, page_bytes)
        if not growth.fits(self):
            return False
        growth.take()
        return True

    async def grow_later(self, hold: Hold, body_bytes: int, page_bytes: int) -> None:
        """Room for a body, in its turn; see `Hold.grow_later`."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        growth = self._growth(hold, body_bytes, page_bytes)
        try:
            await self._turn_within(hold.patience_s, growth)
        finally:
            hold.patience_s = max(hold.patience_s - (loop.time() - since), 0.0)

    def _growth(self, hold: Hold, body_bytes: int, page_bytes: int) -> _Growth:
        """What a body that grows needs: a step more than it has, as it will go on."""
        size_bytes = min(body_bytes + self.step_bytes, self.bound_bytes)
        return _Growth(hold, size_bytes, min(max(page_bytes, size_bytes), self.bound_bytes))

    async def decode(self, hold: Hold, size_bytes: int, *, waits: bool, urgent: bool) -> None:
        """Room for a body to be decoded, in its turn; see `Hold.decode`."""
        refuse_over(size_bytes, self.bound_bytes)
        body = _Body(hold, size_bytes, urgent or not waits)
        at_once = body.by <= 0 or ((not waits or not self._bodies) and body.fits(self))
        if at_once:
            body.take()
            self.look()
            return
        hold.growth_bytes = body.by
        others = self.held["flying"] + self.held["kept"] - hold.size_bytes
        if not waits or others + size_bytes > self.bound_bytes:
            raise NoRoom(size_bytes)
        await self._turn_within(DECODES_WITHIN_S, body)

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
            self._give_one_back()
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
        waited_s = now - request.since
        times = 2 ** int(math.log2(waited_s / (PATIENCE_S + DOOR_S) + 1))
        opens_s = (PATIENCE_S + DOOR_S) * (2 * times - 1) - waited_s
        return opens_s if opens_s <= DOOR_S * times and request.share.may_ask(0) else 0.0

    def _open_again(self, after_s: float) -> None:
        if self._reopens is None:
            self._reopens = asyncio.get_running_loop().call_later(after_s, self._opened)

    def _opened(self) -> None:
        self._reopens = None
        self.look()

    # -- turns -------------------------------------------------------------------------------------

    async def _turn_within(self, wait_s: float, body: _Growth | _Body) -> None:
        """Waits so long at most. Raises NoRoom."""
        try:
            async with asyncio.timeout(wait_s):
                self._bodies.append(body)
                await self._turn(body)
        except TimeoutError:
            raise NoRoom(body.page_bytes) from None

    async def _turn(self, waiter: _Request | _Growth | _Body) -> Hold:
        """Waits until it is served. Raises NoRoom for a body that is given back."""
        admitted: asyncio.Future[Hold] = asyncio.get_running_loop().create_future()
        waiter.admitted = admitted
        self.look()
        try:
            return await admitted
        except BaseException:
            if not admitted.done() or admitted.cancelled():
                admitted.cancel()
                self.look()
            elif admitted.exception() is None:
                admitted.result().release()
            raise

    def _give_one_back(self) -> None:
        """Gives back the last body of those for which no room will come."""
        waiting = {body.hold for body in self._bodies}
        moving = Counter(hold.share for hold in self._flying if hold not in waiting)

        def stuck(body: _Growth | _Body) -> bool:
            share = body.hold.share
            alone = not body.may()  # its own pipeline keeps it waiting
            held, flying = (share.held, moving[share]) if alone else (self.held, moving.total())
            return not (flying or held["decoding"] or held["ahead"])

        for number in reversed(range(len(self._bodies))):
            if stuck(body := self._bodies[number]):
                del self._bodies[number]
                body.admitted.set_exception(NoRoom(body.page_bytes))
                return

    def _admit(self, waiter: _Request | _Growth | _Body) -> bool:
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
