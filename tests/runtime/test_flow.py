"""An accepted page becomes parts that are ready to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from worker.core.cursor import Cursor
from worker.core.model import Decoded, Facts, Ledger, Progress, Reject
from worker.core.ports import SLICE_RECORDS, InvalidRecord, Shaping
from worker.paging.spec import Accepted, PassEnd
from worker.runtime.flow import Flow, Shaped


def shape(records: Sequence[int], received: int, partition: str) -> Shaping:
    """By the remainder of seven: 0 is filtered out, 1 refused, 2 becomes two records; a route each."""
    routes: dict[str, list[int]] = {}
    for number in records:
        if number % 7 > 1:
            routes.setdefault(f"r={number % 2}", []).extend([number] * (1 + (number % 7 == 2)))
    return Shaping(
        [
            (name, len(rows), b"".join(b"%d\n" % row for row in rows))
            for name, rows in routes.items()
        ],
        [
            (index, InvalidRecord("odd", (), stage="transform"))
            for index, number in enumerate(records)
            if number % 7 == 1
        ],
        filtered=sum(number % 7 == 0 for number in records),
        expanded=sum(number % 7 == 2 for number in records),
    )


def page(records: list[int], bad: int = 0, duplicates: int = 0) -> Accepted:
    """Records that follow so many rejects of the decoder; some were left out as duplicates."""
    rejects = [Reject(index, "decode", "bad", (), b"bad") for index in range(bad)]
    indices = [bad + index for index in range(len(records))] if bad else None
    received = len(records) + bad + duplicates
    decoded = Decoded(
        records,
        indices,
        rejects,
        Facts(received),
        raw=lambda place: str(records[place - bad]).encode(),
    )
    ledger = Ledger(received=received, deduplicated=duplicates, dead_lettered=bad)
    return Accepted(decoded, {"offset": 7}, 3, Progress(Cursor(received=received)), ledger)


def shaped(accepted: Accepted, **options: Any) -> list[Shaped]:
    return list(Flow(shape, "0123", **options).shape("a", accepted))


@given(
    st.integers(0, 3 * SLICE_RECORDS + 2), st.integers(0, 5), st.integers(0, 5), st.integers(0, 6)
)
def test_every_record_of_a_page_is_accounted_for(
    count: int, bad: int, duplicates: int, first: int
) -> None:
    parts = shaped(page(list(range(first, first + count)), bad, duplicates))
    ledger = sum((part.ledger for part in parts), Ledger())
    assert ledger.balanced and ledger.received == count + bad + duplicates
    assert ledger.sent == sum(chunk.rows for part in parts for chunk in part.chunks)
    assert ledger.dead_lettered == sum(len(part.rejects) for part in parts)


@given(st.integers(0, 3 * SLICE_RECORDS + 2), st.integers(0, 5), st.integers(0, 5), st.booleans())
def test_what_was_looked_at_is_what_came_without_duplicates_and_however_it_was_expanded(
    count: int, bad: int, duplicates: int, over: bool
) -> None:
    end = PassEnd(1, count, "empty page", "unknown") if over else None
    parts = shaped(replace(page(list(range(count)), bad, duplicates), pass_end=end))
    assert sum(part.looked_at for part in parts) == count + bad
    assert [part.pass_over for part in parts] == [False] * (len(parts) - 1) + [over]


@given(st.integers(0, 3 * SLICE_RECORDS + 2))
def test_only_the_last_part_moves_the_cursor_and_no_part_is_long(count: int) -> None:
    parts = shaped(page(list(range(count))))
    assert [part.progress is not None for part in parts] == [False] * (len(parts) - 1) + [True]
    assert len(parts) == max(1, -(-count // SLICE_RECORDS))
    assert parts[-1].ledger.received == count and not any(p.ledger.received for p in parts[:-1])


def test_a_reject_has_its_place_in_the_page_and_what_was_received() -> None:
    numbers = list(range(2, 2 * SLICE_RECORDS + 30))
    rejects = [each for part in shaped(page(numbers, bad=4)) for each in part.rejects]
    refused = [each for each in rejects if each.code == "odd"]
    assert {each.index - 4: each.raw for each in refused} == {
        index: str(number).encode() for index, number in enumerate(numbers) if number % 7 == 1
    }
    assert sum(each.code == "bad" for each in rejects) == 4


def test_passes_are_kept_apart_only_where_they_are_snapshots() -> None:
    accepted = page([2, 3, 4])
    assert {chunk.group for part in shaped(accepted) for chunk in part.chunks} == {None}
    grouped = shaped(accepted, grouped=True)
    assert {chunk.group for part in grouped for chunk in part.chunks} == {3}


def test_what_is_written_weighs_and_what_is_refused_weighs_more() -> None:
    light, heavy = shaped(page([2] * 10)), shaped(page([1] * 10))
    assert 0 < light[0].weight < heavy[0].weight
    assert shaped(page([]))[0].weight == 0


@given(st.lists(st.integers(1, 3), max_size=30), st.booleans())
def test_records_that_came_at_several_times_are_shaped_with_their_own_time_and_partition(
    times: list[int], with_gap: bool
) -> None:
    seen: list[tuple[int, int, str]] = []

    def noted(records: Sequence[int], received: int, partition: str) -> Shaping:
        seen.extend((record, received, partition) for record in records)
        return shape(records, received, partition)

    accepted = page(list(range(len(times))))
    decoded = accepted.decoded
    partitions = [f"tenant {time % 2}" for time in times]
    decoded.facts.came_each = list(zip(times, partitions, strict=True))
    if with_gap and times:
        decoded.records, decoded.indices = decoded.records[1:], list(range(1, len(times)))
    list(Flow(noted, "f").shape("p", accepted))
    assert seen == [(place, times[place], partitions[place]) for place in decoded.records]
