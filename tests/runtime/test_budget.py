"""The memory that all pipelines share: what is reserved is what is held, and nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.errors import Deferred, OverMemory
from worker.runtime.budget import (
    AHEAD_BYTES,
    DOOR_S,
    PATIENCE_S,
    Budget,
    Hold,
    Share,
)
from worker.runtime.expected import Expected
from worker.testing.clock import FakeClock

MIB = 1024 * 1024


def budget(bound: int = 100, clock: FakeClock | None = None) -> Budget:
    return Budget(bound, (clock or FakeClock()).monotonic)


def pages(body: int, page: int | None = None) -> Expected:
    return Expected(body, body if page is None else page, known=True)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def waiting(coroutine: object) -> asyncio.Task[Hold]:
    task = asyncio.ensure_future(coroutine)  # type: ignore[call-overload]
    await turns()
    return task  # type: ignore[no-any-return]


async def test_bodies_in_flight_are_weighed_as_bodies_and_one_decoding_has_room() -> None:
    share = budget(32 * MIB).share()
    expected = pages(1_900_000, 8_550_000)
    holds = [await waiting(share.reserve(expected)) for _ in range(14)]
    # so many bodies, and the growth of one of them
    assert [hold.done() for hold in holds] == [True] * 14
    assert not (await waiting(share.reserve(expected))).done()
    first = holds[0].result()
    await first.decode(8_550_000)
    assert share.budget.used_bytes == 13 * 1_900_000 + 8_550_000 <= 32 * MIB


async def test_what_is_given_back_serves_those_that_wait_in_their_order() -> None:
    share = budget().share()
    held = await share.reserve(pages(80))
    tasks = [await waiting(share.reserve(pages(60))), await waiting(share.reserve(pages(30)))]
    assert [task.done() for task in tasks] == [False, False]
    held.release()
    await turns()
    assert [task.done() for task in tasks] == [True, True]
    assert share.budget.used_bytes == 90


async def test_who_fits_goes_before_who_does_not() -> None:
    shared = budget()
    large, small = shared.share(), shared.share()
    held = await small.reserve(pages(20))
    first, second = await waiting(large.reserve(pages(90))), await waiting(small.reserve(pages(10)))
    assert (first.done(), second.done()) == (False, True)
    held.release()
    second.result().release()
    await turns()
    assert first.done()


async def test_a_page_over_the_cap_of_its_pipeline_passes_alone() -> None:
    share = budget().share(cap_bytes=10)
    first = await share.reserve(pages(40, 90))
    assert not (await waiting(share.reserve(pages(1)))).done()
    await first.decode(90)


async def test_a_page_that_is_larger_than_all_the_memory_is_refused() -> None:
    share = budget().share()
    hold = await share.reserve(pages(10))
    with pytest.raises(OverMemory, match=r"the page would hold .* and there are .* for all pages"):
        await hold.decode(101)
    await hold.decode(100)


async def test_a_page_for_which_other_bodies_leave_no_room_is_given_back() -> None:
    share = budget().share()
    first, second = [await share.reserve(pages(10)) for _ in range(2)]
    for hold in (first, second):
        hold.resize(30)  # they turn out to be larger
    with pytest.raises(Deferred) as deferred:
        await first.decode(80)
    assert deferred.value.paced, "that is no fault of the source"
    first.release()
    await second.decode(80)


async def test_a_body_waits_for_pages_that_go_on_to_be_written() -> None:
    share = budget().share()
    first, second = [await share.reserve(pages(10, 50)) for _ in range(2)]
    await first.decode(50)
    first.become("ahead")
    decoding = await waiting(second.decode(60))
    assert not decoding.done()
    first.release()
    await turns()
    assert decoding.done()


async def test_a_page_that_was_fetched_ahead_has_room_before_it_comes() -> None:
    share = budget().share()
    hold = await share.reserve(pages(10, 50), early=True)
    assert hold.size_bytes == 50
    other = await waiting(share.reserve(pages(10, 50), early=True))
    assert other.done()
    assert not (await waiting(share.reserve(pages(1)))).done()


async def test_a_pipeline_that_is_not_written_asks_for_no_more() -> None:
    share = budget(100 * MIB).share()
    hold = await share.reserve(pages(MIB, AHEAD_BYTES))
    await hold.decode(AHEAD_BYTES)
    hold.become("ahead")
    asking = await waiting(share.reserve(pages(1)))
    assert not asking.done()
    part = hold.take(MIB)
    hold.release()
    await turns()
    assert asking.done(), "what was made of it is part of what it had"
    assert share.held["ahead"] == MIB
    part.release()


async def test_a_pipeline_that_gives_nothing_back_leaves_half_to_the_others() -> None:
    shared = budget()
    dead, others = shared.share(), shared.share()
    tasks = [await waiting(dead.reserve(pages(5))) for _ in range(30)]
    assert sum(task.done() for task in tasks) * 5 == 50
    for _ in range(100):
        holds = [await asyncio.wait_for(others.reserve(pages(10)), 1) for _ in range(2)]
        for hold in holds:
            hold.release()
    for task in tasks:
        task.cancel()


async def test_a_large_page_keeps_small_ones_out_for_a_tenth_of_its_wait_at_most() -> None:
    """Its room never comes here, and they still have ten elevenths of the time."""
    clock = FakeClock()
    shared = budget(clock=clock)
    dead, large, small = shared.share(), shared.share(), shared.share()
    await dead.reserve(pages(30))
    asking = await waiting(large.reserve(pages(90)))
    served, steps = 0, 1100
    for _ in range(steps):
        clock.advance((PATIENCE_S + DOOR_S) / 110)
        task = await waiting(small.reserve(pages(5)))
        if task.done():
            served += 1
            task.result().release()
        else:
            task.cancel()
            await turns()
    assert not asking.done()
    assert steps * 0.89 <= served < steps
    asking.cancel()


async def test_a_large_page_gets_its_turn_among_many_small_ones() -> None:
    clock = FakeClock()
    shared = budget(clock=clock)
    large, small = shared.share(), shared.share()
    holds = [await small.reserve(pages(10)) for _ in range(3)]
    asking = await waiting(large.reserve(pages(80)))
    again: list[asyncio.Task[Hold]] = []
    for _ in range(200):  # without its patience there would always be three of them
        if asking.done():
            break
        clock.advance(0.1)
        again.append(await waiting(small.reserve(pages(10))))
        if holds:
            holds.pop(0).release()
        holds += [task.result() for task in again if task.done()]
        again = [task for task in again if not task.done()]
    assert asking.done()
    for task in again:
        task.cancel()


async def test_who_stops_waiting_leaves_nothing_behind() -> None:
    share = budget().share()
    held = await share.reserve(pages(100))
    asking = await waiting(share.reserve(pages(10)))
    asking.cancel()
    await turns()
    held.release()
    assert share.budget.used_bytes == 0
    # even where it was served at the same moment
    asking = await waiting(share.reserve(pages(10)))
    other = asyncio.ensure_future(share.reserve(pages(95)))
    await turns()
    asking.result().release()
    other.cancel()
    await turns()
    assert share.budget.used_bytes == 0


async def test_a_pipeline_that_ends_gives_back_what_its_pages_hold() -> None:
    shared = budget()
    share, other = shared.share(), shared.share()
    hold = await share.reserve(pages(60, 70))
    asking = await waiting(other.reserve(pages(50)))
    share.close()
    await turns()
    assert asking.done()
    hold.release()  # by somebody who still had it
    assert (shared.used_bytes, shared.shares) == (50, 1)


sizes = st.integers(1, 60)


@settings(max_examples=150)
@given(
    st.lists(st.tuples(sizes, sizes, st.booleans()), min_size=1, max_size=30),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_whatever_pages_turn_out_to_be_all_pass_and_the_bound_is_kept(
    found: list[tuple[int, int, bool]], pipelines: int, workers: int
) -> None:
    """Bodies and decoded pages of any size, of which nothing was known before."""
    most, bound = 0, 130

    async def read(share: Share, mine: list[tuple[int, int, bool]]) -> None:
        expected = Expected(5, 10)
        while mine:
            body, growth, slow = mine.pop()
            while True:
                hold = await share.reserve(expected)
                await asyncio.sleep(0)
                expected.came(body, body + growth)
                hold.resize(max(body, hold.size_bytes))
                try:
                    await hold.decode(body + growth)
                    break
                except Deferred:
                    hold.release()
                    await asyncio.sleep(0)
            hold.become("ahead")
            part = hold.take(growth)
            assert share.budget.used_bytes == share.budget.held.total() >= body + growth
            nonlocal most
            most = max(most, share.budget.used_bytes - share.budget.held["flying"])
            for _ in range(3 if slow else 0):
                await asyncio.sleep(0)
            part.release()
            hold.release()

    async def run() -> Budget:
        shared = Budget(bound, FakeClock().monotonic)
        work = [found[number::pipelines] for number in range(pipelines)]
        shares = [shared.share() for _ in range(pipelines)]
        async with asyncio.timeout(20):
            await asyncio.gather(
                *(
                    read(share, mine)
                    for share, mine in zip(shares, work, strict=True)
                    for _ in range(workers)
                )
            )
        return shared

    shared = asyncio.run(run())
    assert shared.used_bytes == 0 and not shared._flying
    assert most <= bound


def test_it_explains_itself() -> None:
    share = budget().share()
    hold = Hold(share)
    hold.resize(5)
    assert repr(hold) == "<Hold flying 5+0>"
    assert repr(share) == "<Share {'flying': 5} of <Budget used=5/100 waiting=0+0>>"
