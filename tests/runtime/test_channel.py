"""The byte-bounded channel."""

from __future__ import annotations

import asyncio

import pytest

from worker.runtime.channel import Channel, Closed


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_reservation_waits_for_room() -> None:
    channel: Channel[str] = Channel(10)
    await channel.put("a", 8)
    waiting = asyncio.create_task(channel.reserve(5))
    await settle()
    assert not waiting.done()
    _, weight = await channel.get()
    await settle()
    assert not waiting.done(), "what is being worked on still counts"
    await channel.release(weight)
    assert await waiting == 5


async def test_an_empty_channel_admits_more_than_its_bound() -> None:
    channel: Channel[str] = Channel(10)
    assert await channel.reserve(1_000) == 1_000


async def test_three_items_over_the_bound_pass_one_after_the_other() -> None:
    channel: Channel[int] = Channel(10)
    got = []

    async def send(number: int) -> None:
        reserved = await channel.reserve(40)
        await channel.put(number, 40, reserved_bytes=reserved)

    senders = [asyncio.create_task(send(number)) for number in range(3)]
    for _ in senders:
        item, weight = await channel.get()
        got.append(item)
        await channel.release(weight)
    assert sorted(got) == [0, 1, 2]
    assert channel.used_bytes == 0


async def test_the_head_is_admitted_at_once() -> None:
    channel: Channel[str] = Channel(10)
    await channel.put("a", 10)
    assert await channel.reserve(5, force=True) == 5


async def test_a_closed_channel_delivers_what_is_queued_and_then_its_error() -> None:
    channel: Channel[str] = Channel(10)
    error = ValueError("why")
    await channel.put("a", 1)
    await channel.close(error)
    assert await channel.get() == ("a", 1)
    with pytest.raises(Closed) as closed:
        await channel.get()
    assert closed.value.error is error


async def test_get_gives_up_in_time_and_loses_nothing() -> None:
    channel: Channel[str] = Channel(10)
    with pytest.raises(TimeoutError):
        await channel.get(0.0)
    await channel.put("a", 1)
    assert await channel.get(0.0) == ("a", 1)


async def test_a_channel_explains_itself() -> None:
    channel: Channel[str] = Channel(10)
    await channel.put("a", 3)
    assert repr(channel) == "<Channel items=1 used=3/10>"
