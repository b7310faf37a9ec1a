"""Bodies that turn out larger than was expected take their room while they come in: never more than
there is, never given up for nothing, and one of them can always go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pools import offset_pool

from worker.core.errors import OverMemory
from worker.core.model import Decoded, Facts
from worker.core.ports import Room
from worker.paging.spec import Fetch, Reply
from worker.runtime.budget import (
    DOOR_S,
    PATIENCE_S,
    RECEIVES_WITHIN_S,
    Budget,
    Hold,
    NoRoom,
    Share,
)
from worker.runtime.channel import Channel, Closed
from worker.runtime.clock import SystemClock
from worker.runtime.expected import DECODED_FACTOR, LEAST_FACTOR, Expected
from worker.runtime.fetch import Page
from worker.testing.clock import FakeClock

BOUND = 100
"""Less than `FIRST_PART`, so that bodies grow by what they need and no more."""


def budget(bound: int = BOUND) -> Budget:
    return Budget(bound, FakeClock().monotonic)


async def flying(share: Share, size: int) -> Hold:
    return await share.reserve(Expected(size, size, known=True))


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def later(hold: Hold, body: int, page: int) -> asyncio.Task[None]:
    """A body that did not find its room, and waits for it."""
    assert not hold.grow(body, page)
    task = asyncio.ensure_future(hold.grow_later(body, page))
    await turns()
    return task


# -- one body ------------------------------------------------------------------------------------


async def test_a_body_that_grows_takes_its_room_and_leaves_that_of_one_decoding() -> None:
    share = budget().share()
    hold, other = await flying(share, 10), await flying(share, 10)
    assert hold.grow(20, 50)
    assert (hold.size_bytes, hold.growth_bytes) == (20, 30)
    assert not other.grow(51, 51), "the decoding of the first could not be admitted any more"
    assert other.grow(50, 50)
    assert share.budget.used_bytes == 70


async def test_a_body_alone_may_take_all_there_is() -> None:
    hold = await flying(budget().share(), 10)
    assert hold.grow(90, 400)
    with pytest.raises(OverMemory):
        hold.grow(101, 400)


async def test_a_body_grows_ahead_by_a_small_part_of_what_there_is() -> None:
    shared = Budget(1 << 30, FakeClock().monotonic)
    hold = await flying(shared.share(), 10)
    assert hold.grow(11, 20)
    assert hold.size_bytes == 11 + shared.step_bytes > 256 * 1024


async def test_a_body_waits_for_pages_that_are_written() -> None:
    share = budget().share()
    written, hold = await flying(share, 50), await flying(share, 10)
    written.become("ahead")
    growing = await later(hold, 60, 60)
    written.release()
    await growing
    assert hold.size_bytes == 60


async def test_a_body_waits_for_one_that_is_decoded() -> None:
    share = budget().share()
    decoded, hold = await flying(share, 10), await flying(share, 10)
    await decoded.decode(60)
    growing = await later(hold, 60, 60)
    assert not growing.done()
    decoded.become("ahead")
    decoded.release()
    await growing


async def test_where_all_bodies_wait_the_last_is_given_back_and_the_others_go_on() -> None:
    share = budget().share()
    holds = [await flying(share, 30) for _ in range(3)]
    first, second = await later(holds[0], 60, 60), await later(holds[1], 60, 60)
    assert not first.done() and not second.done(), "the third one may still land"
    third = await later(holds[2], 60, 60)
    with pytest.raises(NoRoom) as given_back:
        await third
    assert (given_back.value.page_bytes, given_back.value.paced) == (60, True)
    holds[2].release()
    await first
    assert share.budget.used_bytes == 90
    await turns()
    assert not second.done()
    holds[0].release()
    await second


async def test_bodies_that_their_own_share_stops_do_not_wait_for_other_pipelines() -> None:
    shared = budget()
    share, other = shared.share(), shared.share()
    await flying(other, 10)  # it may take for ever
    holds = [await flying(share, 20) for _ in range(2)]
    first = await later(holds[0], 30, 30)
    assert not first.done()
    second = await later(holds[1], 30, 30)
    with pytest.raises(NoRoom):
        await second
    holds[1].release()
    await first


async def test_a_page_that_waits_for_its_head_is_not_waited_for() -> None:
    share = budget().share()
    kept, hold = await flying(share, 50), await flying(share, 10)
    await kept.decode(50)
    growing = await later(hold, 60, 60)
    assert not growing.done()
    kept.become("kept")
    with pytest.raises(NoRoom):
        await growing


async def test_a_body_waits_for_a_while_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for its exchange goes on meanwhile."""
    share = budget().share()
    await flying(share, 50)  # the source of this one hangs
    hold = await flying(share, 10)
    assert hold.patience_s == RECEIVES_WITHIN_S
    hold.patience_s = 0.01
    with pytest.raises(NoRoom):
        await hold.grow_later(60, 60)
    assert hold.patience_s < 0.01


async def test_who_stops_waiting_leaves_nothing_behind() -> None:
    share = budget().share()
    other, hold = await flying(share, 50), await flying(share, 10)
    growing = await later(hold, 60, 60)
    growing.cancel()
    await turns()
    other.release()
    hold.release()
    assert (share.budget.used_bytes, share.budget._bodies) == (0, [])


async def test_a_page_that_may_not_wait_is_decoded_at_once_or_given_back() -> None:
    share = budget().share()
    hold, _ = await flying(share, 10), await flying(share, 30)
    with pytest.raises(NoRoom):
        await hold.decode(80, waits=False)
    await hold.decode(70, waits=False)


async def test_a_page_that_others_wait_for_does_not_wait_for_its_own_pipeline() -> None:
    share = budget().share(cap_bytes=20)
    ahead, hold = await flying(share, 10), await flying(share, 10)
    ahead.become("ahead")
    await hold.decode(50, urgent=True)


async def test_a_request_that_waits_long_keeps_others_out_long_enough_for_any_of_them() -> None:
    """Requests that take twenty times as long as the first door is shut."""
    clock, takes_s, now = FakeClock(), 20 * DOOR_S, 0.0
    shared = Budget(BOUND, clock.monotonic)
    large, small = shared.share(), shared.share()
    holds = [(await flying(small, 10), 0.0), (await flying(small, 10), 10.0)]
    asking = asyncio.ensure_future(large.reserve(Expected(95, 95)))
    await turns()
    while not asking.done() and now < 60 * PATIENCE_S:
        clock.advance(0.5)
        now += 0.5
        for hold, since in list(holds):
            if now - since >= takes_s:
                holds.remove((hold, since))
                hold.release()
        task = asyncio.ensure_future(small.reserve(Expected(10, 10)))
        await turns()
        if task.done():
            holds.append((task.result(), now))
        else:
            task.cancel()
        await turns()
    assert asking.done()


# -- what is expected ------------------------------------------------------------------------------


def test_a_body_that_comes_in_is_what_others_are_expected_to_be() -> None:
    expected = Expected.unknown(10)
    assert expected.comes(30) == 30 * DECODED_FACTOR
    assert (expected.body_bytes, expected.page_bytes) == (30, 30 * DECODED_FACTOR)
    assert expected.comes(20) == 20 * DECODED_FACTOR
    assert expected.body_bytes == 30, "it may go on"
    expected.came(20, 40)
    assert 20 < expected.body_bytes < 30


@pytest.mark.parametrize("page", [10, 15, 20, 35])
def test_a_page_takes_at_least_its_body_twice(page: int) -> None:
    assert Expected(10, page, known=True).comes(100) == 100 * max(-(-page // 10), LEAST_FACTOR)


def test_empty_bodies_say_nothing_of_what_a_page_takes() -> None:
    expected = Expected.unknown(10)
    expected.came(0, 0)
    assert expected.comes(5) == 5 * DECODED_FACTOR


# -- many at once ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Body:
    """How large a body gets, in how many pieces, and what its page takes."""

    size: int
    pieces: int
    factor: int

    @property
    def page_bytes(self) -> int:
        return min(self.size * self.factor, BOUND)


class Pipeline:
    """A pool that reads partitions of such bodies, and who writes their pages."""

    def __init__(self, shared: Budget, parts: Mapping[str, list[Body]], depth: int) -> None:
        self._shared, self._parts, self.asked, self.over = shared, parts, 0, 0
        self._share, self._channel = shared.share(), Channel[Page](1 << 40)
        self.written: dict[str, list[int]] = {name: [] for name in parts}
        self.pool = offset_pool(
            parts, self._fetch, self._channel, self._share, depth=depth, may_give_up=False
        )

    async def _fetch(self, partition: str, fetch: Fetch, room: Room) -> Reply:
        number, self.asked = fetch.position["offset"], self.asked + 1
        bodies = self._parts[partition]
        body = bodies[number] if number < len(bodies) else Body(1, 1, 2)
        allowed = await room.receive(0)
        for piece in range(1, body.pieces + 1):
            await asyncio.sleep(0)
            if (size := body.size * piece // body.pieces) > allowed:
                allowed = await room.receive(size)
                assert allowed >= size
            self._look()
        await room.decode(body.size, body.page_bytes)
        self._look()
        await asyncio.sleep(0)
        records = [number] if number < len(bodies) else []
        keys = [each.to_bytes(16, "big") for each in records]
        facts = Facts(len(records), keys=keys, size_bytes=body.size)
        return Reply(Decoded(records, None, [], facts))

    def _look(self) -> None:
        self.over = max(self.over, self._shared.used_bytes - self._shared.bound_bytes)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write())
            await self.pool.run(asyncio.Event())
            await self._channel.close()

    async def _write(self) -> None:
        while True:
            try:
                page, weight = await self._channel.get()
            except Closed:
                return
            await turns(2)
            self._look()
            self.written[page.partition] += page.accepted.decoded.records
            page.hold.release()
            await self._channel.release(weight)


async def test_a_page_that_was_given_back_has_all_its_room_before_it_is_asked_for_again() -> None:
    reserved = list[int]()

    class GivenBackOnce(Pipeline):
        async def _fetch(self, partition: str, fetch: Fetch, room: Room) -> Reply:
            reserved.append(self._shared.used_bytes)
            if len(reserved) == 1:
                raise NoRoom(80)
            return await super()._fetch(partition, fetch, room)

    served = GivenBackOnce(budget(), {"p": [Body(5, 1, 2)]}, depth=1)
    await served.run()
    assert served.written == {"p": [0]}
    assert reserved[1] == 80 > max(reserved[0], reserved[2]), "it is forgotten once it is here"


bodies = st.builds(Body, st.integers(1, BOUND // 2), st.integers(1, 8), st.integers(2, 6))
partitions = st.lists(st.lists(bodies, max_size=5), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(partitions, st.sampled_from([1, 4])), min_size=1, max_size=3))
def test_bodies_that_grow_at_once_stay_within_the_bound_and_all_land(
    found: list[tuple[list[list[Body]], int]],
) -> None:
    """Nothing is known of any body before; pages are fetched ahead or not. No wait here ends by
    time: who waits for whom is found out.
    """

    async def run() -> None:
        shared = Budget(BOUND, SystemClock().monotonic)
        pipelines = [
            Pipeline(shared, {f"p{number}": each for number, each in enumerate(parts)}, depth)
            for parts, depth in found
        ]
        async with asyncio.timeout(RECEIVES_WITHIN_S / 2):
            await asyncio.gather(*(each.run() for each in pipelines))
        for pipeline, (parts, _) in zip(pipelines, found, strict=True):
            expected = {f"p{number}": list(range(len(each))) for number, each in enumerate(parts)}
            assert pipeline.written == expected and not pipeline.pool.parked
            assert pipeline.over <= 0
        assert shared.used_bytes == 0 and not shared._flying and not shared._bodies

    asyncio.run(run())
