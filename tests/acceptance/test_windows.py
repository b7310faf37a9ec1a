"""Time windows over real HTTP: what is published must be the server's own list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import kit
import pytest
from acceptance.test_incremental import served
from aiohttp import web
from aiohttp.test_utils import TestServer

from worker.app import Backfill, RunResult, run_async
from worker.settings import load_settings
from worker.testing.clock import DatedClock
from worker.testing.replica import Record, Replica, Shape
from worker.wiring.peek import peek

WINDOW = {"type": "window", "start_param": "from", "end_param": "to", "size": "10m", "lag": "5m"}
SHAPE = Shape(since="from", until="to", cap=100_000)
INCREMENTAL = {"field": "updated_at", "initial": "2024-01-01T00:00:00Z"}


def items(count: int, *, every: int = 60, first: int = 0) -> list[Record]:
    return [kit.item(number, second=number * every) for number in range(first, first + count)]


def source(pagination: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "key": ["id"],
        "incremental": INCREMENTAL,
        "schedule": {"every": "1h"},
        "pagination": pagination,
        **changes,
    }


async def run(config: Path, now: str, **options: Any) -> RunResult:
    return await run_async(load_settings([config]), once=True, clock=DatedClock(now), **options)


def asked(replica: Replica) -> list[tuple[str, str]]:
    """(from, to) of every request, the time of day only."""
    return [(seen.query["from"][11:19], seen.query["to"][11:19]) for seen in replica.requests]


async def test_windows_end_at_the_lag_and_the_next_run_asks_only_for_what_is_new(
    tmp_path: Path,
) -> None:
    async with Replica(items(40), SHAPE) as replica:
        config = kit.write_config(tmp_path, replica.url, source=source(WINDOW))
        assert (await run(config, "2024-01-01T00:35:00Z")).exit_code == 0
        assert asked(replica) == [
            ("00:00:00", "00:10:00"),
            ("00:10:00", "00:20:00"),
            ("00:20:00", "00:30:00"),
        ]
        assert kit.lake_ids(tmp_path) == list(range(30))
        replica.requests.clear()
        assert (await run(config, "2024-01-01T00:35:00Z")).exit_code == 0
        assert asked(replica) == [], "nothing is over that was not asked for"
        result = await run(config, "2024-01-01T00:50:00Z")
    assert asked(replica) == [("00:30:00", "00:40:00"), ("00:40:00", "00:45:00")]
    assert kit.lake_ids(tmp_path) == list(range(40))
    assert (result.pipelines[0].records, result.pipelines[0].deduplicated) == (10, 0)


async def test_records_that_come_late_within_the_lag_are_read_once(tmp_path: Path) -> None:
    async with Replica(items(30), SHAPE) as replica:
        config = kit.write_config(tmp_path, replica.url, source=source(WINDOW))
        assert (await run(config, "2024-01-01T00:30:00Z")).exit_code == 0
        assert kit.lake_ids(tmp_path) == list(range(25))
        replica.records += [
            kit.item(1_000 + minute, second=minute * 60) for minute in (25, 26, 29)
        ]  # up to five minutes late
        assert (await run(config, "2024-01-01T00:40:00Z")).exit_code == 0
    assert kit.lake_ids(tmp_path) == sorted([*range(30), 1_025, 1_026, 1_029])


async def test_records_that_come_later_are_read_with_an_overlap(tmp_path: Path) -> None:
    async with Replica(items(30), SHAPE) as replica:
        config = kit.write_config(
            tmp_path,
            replica.url,
            source=source(WINDOW, incremental={**INCREMENTAL, "overlap": "30m"}),
        )
        assert (await run(config, "2024-01-01T00:35:00Z")).exit_code == 0
        replica.records.append(kit.item(1_000, second=300))
        result = await run(config, "2024-01-01T00:40:00Z")
    assert kit.lake_ids(tmp_path) == [*range(30), 1_000]
    assert result.pipelines[0].deduplicated == 30


PAGES: dict[str, dict[str, Any]] = {
    "offset": {"type": "offset", "param": "offset", "limit_param": "limit", "limit": 1000},
    "page": {"type": "page", "param": "page"},
    "cursor": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}},
    "next_url": {"type": "next_url", "path": "links.next"},
    "link_header": {"type": "link_header"},
}


@pytest.mark.parametrize("style", PAGES)
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_pages_inside_windows(tmp_path: Path, style: Any, concurrency: int) -> None:
    """A silent cap, dense and empty windows; the total is that of a window."""
    records = [*items(300, every=4), *items(25, every=60, first=300)]
    records = [
        each
        for each in records
        if each["updated_at"] < "2024-01-01T05:00" or each["updated_at"] > "2024-01-01T05:10"
    ]
    shape = replace(SHAPE, style=style, cap=7, total="body")
    async with Replica(records, shape) as replica:
        pagination = {**PAGES[style], "total": {"body": "meta.total"}, "within": WINDOW}
        config = kit.write_config(
            tmp_path, replica.url, source=source(pagination, concurrency=concurrency)
        )
        result = await run(config, "2024-01-01T06:00:00Z")
        replica.shape = replace(shape, cap=5)
        replica.records += items(20, every=70, first=350)
        assert (await run(config, "2024-01-01T09:00:00Z")).exit_code == 0
    assert result.exit_code == 0, result
    assert kit.lake_ids(tmp_path) == sorted(each["id"] for each in replica.records)
    assert len(asked(replica)) > 60


@pytest.mark.parametrize("step", [None, "1s"])
async def test_records_at_the_boundaries_of_inclusive_windows_come_once(
    tmp_path: Path, step: str | None
) -> None:
    """Three records at each boundary, and at the last second before it."""
    seconds = sorted(
        [600 * each for each in range(4)] * 3 + [600 * each - 1 for each in range(1, 4)] * 3
    )
    records = [kit.item(number, second=second) for number, second in enumerate(seconds)]
    async with Replica(records, replace(SHAPE, until_inclusive=True)) as replica:
        window = {**WINDOW, "end": "inclusive"} | ({"step": step} if step else {})
        config = kit.write_config(tmp_path, replica.url, source=source(window))
        for now in ("2024-01-01T00:25:00Z", "2024-01-01T00:26:40Z", "2024-01-01T00:40:00Z"):
            result = await run(config, now)
            assert result.exit_code == 0
    assert kit.lake_ids(tmp_path) == list(range(len(records)))
    ends = {to for _, to in asked(replica)}
    assert ends == (
        {"00:09:59", "00:19:59", "00:21:39", "00:31:39", "00:34:59"}
        if step
        else {"00:10:00", "00:20:00", "00:21:40", "00:31:40", "00:35:00"}
    )
    assert (result.pipelines[0].deduplicated > 0) == (step is None) or not step


@pytest.mark.parametrize("step", [None, "1d"])
async def test_parameters_in_whole_days(tmp_path: Path, step: str | None) -> None:
    """The end counts as a whole day; today is read when it is over."""
    records = [
        kit.item(number, second=0)
        | {"updated_at": f"2024-01-{1 + number // 4:02}T{number % 4 * 6:02}:30:00Z"}
        for number in range(80)
    ]
    async with Replica(records, replace(SHAPE, until_inclusive=True)) as replica:
        window = {**WINDOW, "size": "7d", "end": "inclusive"} | ({"step": step} if step else {})
        incremental = {
            "field": "updated_at",
            "initial": "2024-01-01",
            "format": {"record": "rfc3339", "param": "%Y-%m-%d"},
        }
        config = kit.write_config(
            tmp_path, replica.url, source=source(window, incremental=incremental)
        )
        for now in ("2024-01-12T15:00:00Z", "2024-01-12T16:00:00Z", "2024-01-21T01:00:00Z"):
            assert (await run(config, now)).exit_code == 0
    found = [(seen.query["from"][8:], seen.query["to"][8:]) for seen in replica.requests]
    assert found == (
        [("01", "07"), ("08", "11"), ("12", "18"), ("19", "20")]
        if step
        else [("01", "08"), ("08", "12"), ("12", "19"), ("19", "21")]
    )
    assert kit.lake_ids(tmp_path) == list(range(80))


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"record": "epoch_ms"}, "1704067200000"),
        ({"record": "epoch_ms", "param": "epoch_s"}, "1704067200"),
    ],
)
async def test_parameters_in_numbers(tmp_path: Path, form: dict[str, str], text: str) -> None:
    scale = 1000 if "param" in form else 1
    records = [
        kit.item(number, second=0) | {"updated_at": 1_704_067_200_000 + number * 60_000 + number}
        for number in range(30)
    ]

    def answer(query: dict[str, str]) -> Any:
        return {
            "items": [
                each
                for each in records
                if int(query["from"]) * scale <= each["updated_at"] < int(query["to"]) * scale
            ]
        }

    async with served(answer) as (url, seen):
        incremental = {"field": "updated_at", "initial": int(text), "format": form}
        config = kit.write_config(tmp_path, url, source=source(WINDOW, incremental=incremental))
        assert (await run(config, "2024-01-01T00:20:00.500Z")).exit_code == 0
        assert (await run(config, "2024-01-01T01:00:00Z")).exit_code == 0
    assert seen[0] == {"from": text, "to": str(int(text) + 600_000 // scale)}
    assert kit.lake_ids(tmp_path) == list(range(30))


@pytest.mark.parametrize("style", ["window", "offset"])
@pytest.mark.parametrize("descending", [False, True])
async def test_a_window_that_the_source_refuses_is_halved(
    tmp_path: Path, style: Any, descending: bool
) -> None:
    records = [*items(50, every=5), *items(30, every=30, first=50)]
    shape = replace(
        SHAPE,
        window_limit=9,
        descending=descending,
        **({"style": "offset", "cap": 4} if style == "offset" else {}),
    )
    async with Replica(records, shape) as replica:
        window = {**WINDOW, "split_on": {"status": 400, "when": {"path": "error", "exists": True}}}
        pagination = window if style == "window" else {**PAGES["offset"], "within": window}
        incremental = {**INCREMENTAL, "order": "descending" if descending else "ascending"}
        config = kit.write_config(
            tmp_path, replica.url, source=source(pagination, incremental=incremental, concurrency=1)
        )
        result = await run(config, "2024-01-01T01:05:00Z")
    assert result.exit_code == 0, result
    assert kit.lake_ids(tmp_path) == [each["id"] for each in records]
    assert asked(replica)[:3] == [
        ("00:00:00", "00:10:00"),
        ("00:00:00", "00:05:00"),
        ("00:00:00", "00:02:30"),
    ]


async def test_the_smallest_window_that_is_refused_stops_with_its_place_and_the_others_stay(
    tmp_path: Path,
) -> None:
    records = [*items(12), *(kit.item(100 + number, second=900) for number in range(20))]
    async with Replica(records, replace(SHAPE, window_limit=9)) as replica:
        window = {**WINDOW, "split_on": {"status": 400, "smallest": "1m"}}
        config = kit.write_config(tmp_path, replica.url, source=source(window, concurrency=1))
        result = await run(config, "2024-01-01T01:05:00Z")
        assert result.exit_code == 1
        said = result.pipelines[0].error
        assert (
            "at most 9 a query" in said
            and "from 2024-01-01T00:15:00Z to 2024-01-01T00:16:00Z, which cannot be made shorter"
            in said
        )
        assert "split_on.smallest" in said
        assert kit.lake_ids(tmp_path) == list(range(12))
        replica.shape = replace(SHAPE, window_limit=20)
        replica.requests.clear()
        assert (await run(config, "2024-01-01T01:05:00Z")).exit_code == 0
    assert asked(replica)[0] == ("00:15:00", "00:16:00"), "it goes on where it stopped"
    assert kit.lake_ids(tmp_path) == [*range(12), *range(100, 120)]


async def test_a_refusal_that_split_on_does_not_mean_is_none(tmp_path: Path) -> None:
    async with Replica(items(30), replace(SHAPE, window_limit=2)) as replica:
        window = {
            **WINDOW,
            "split_on": {"status": 400, "when": {"path": "code", "equals": "too_long"}},
        }
        result = await run(
            kit.write_config(tmp_path, replica.url, source=source(window, concurrency=1)),
            "2024-01-01T01:05:00Z",
        )
    assert result.exit_code == 1 and len(replica.requests) == 1
    assert "status 400" in result.pipelines[0].error


async def test_a_source_that_ignores_the_window_is_stopped_before_anything_is_doubled(
    tmp_path: Path,
) -> None:
    async with Replica(items(30), Shape(since="nothing", until="nothing", cap=100_000)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=source(WINDOW))
        for _ in range(2):
            result = await run(config, "2024-01-01T00:45:00Z")
            assert result.exit_code == 65
            assert (
                "older than the window that was asked for" in result.pipelines[0].error
                and "start_param" in result.pipelines[0].error
            )
            assert kit.lake_ids(tmp_path) == list(range(30))


async def test_a_source_that_ignores_the_end_is_read_once(tmp_path: Path) -> None:
    async with Replica(items(30), Shape(since="from", until="nothing", cap=100_000)) as replica:
        result = await run(
            kit.write_config(tmp_path, replica.url, source=source(WINDOW)), "2024-01-01T00:45:00Z"
        )
    assert result.exit_code == 0
    assert kit.lake_ids(tmp_path) == list(range(30))


async def test_a_range_is_read_again_in_windows_and_the_live_mark_stays(tmp_path: Path) -> None:
    async with Replica(items(40), SHAPE) as replica:
        config = kit.write_config(tmp_path, replica.url, source=source(WINDOW))
        assert (await run(config, "2024-01-01T00:35:00Z")).exit_code == 0
        replica.requests.clear()
        backfill = Backfill("2024-01-01T00:05:00Z", "2024-01-01T00:17:30Z")
        for _ in range(2):
            assert (await run(config, "2024-01-01T00:35:00Z", backfill=backfill)).exit_code == 0
        assert asked(replica) == [("00:05:00", "00:15:00"), ("00:15:00", "00:17:30")]
        assert kit.lake_ids(tmp_path) == sorted([*range(30), *range(5, 18)])
        assert (await run(config, "2024-01-01T01:00:00Z")).exit_code == 0
    assert kit.lake_ids(tmp_path) == sorted([*range(40), *range(5, 18)])


async def test_the_end_of_a_range_that_no_parameter_can_say_is_reached_all_the_same(
    tmp_path: Path,
) -> None:
    records = [kit.item(number, second=number * 3_600) for number in range(24)]
    async with Replica(records, SHAPE) as replica:
        incremental = {
            "field": "updated_at",
            "initial": "2024-01-01",
            "format": {"record": "rfc3339", "param": "%Y-%m-%d"},
        }
        config = kit.write_config(
            tmp_path, replica.url, source=source({**WINDOW, "size": "1d"}, incremental=incremental)
        )
        result = await run(
            config,
            "2024-01-03T00:35:00Z",
            backfill=Backfill("2024-01-01T00:00:00Z", "2024-01-01T12:00:00Z"),
        )
    assert result.exit_code == 0 and asked(replica) == [("", "")]
    assert kit.lake_ids(tmp_path) == list(range(12))


async def test_the_window_may_go_into_the_body_of_a_post(tmp_path: Path) -> None:
    records, seen = items(30), []

    async def search(request: web.Request) -> web.Response:
        body = await request.json()
        seen.append(body)
        begin, end = body["filter"]["from"], body["filter"]["to"]
        return web.json_response(
            {"items": [each for each in records if begin <= each["updated_at"] < end]}
        )

    app = web.Application()
    app.router.add_post("/search", search)
    server = TestServer(app)
    await server.start_server()
    try:
        window = {
            "type": "window",
            "start_to": {"body": "filter.from"},
            "end_to": {"body": "filter.to"},
            "size": "15m",
        }
        posted = source(window, method="POST", idempotent=True, body={"filter": {"kind": "a"}})
        assert (
            await run(
                kit.write_config(tmp_path, str(server.make_url("/search")), source=posted),
                "2024-01-01T01:00:00Z",
            )
        ).exit_code == 0
    finally:
        await server.close()
    assert (
        seen[0]
        == {"filter": {"kind": "a", "from": "2024-01-01T00:00:00Z", "to": "2024-01-01T00:15:00Z"}}
        and len(seen) == 4
    )
    assert kit.lake_ids(tmp_path) == list(range(30))


async def test_a_record_that_breaks_the_schema_is_one_dead_letter_although_its_window_was_halved(
    tmp_path: Path,
) -> None:
    records = [kit.item(number, second=number * 60, bad=number % 7 == 3) for number in range(30)]
    shape = replace(SHAPE, style="offset", cap=2, window_limit=None)

    async with Replica(records, shape) as replica:
        original = replica._page

        def shallow(seen: Any) -> Any:
            if int(seen.query.get("offset", 0)) >= 6:
                raise ValueError("too deep")
            return original(seen)

        replica._page = shallow  # type: ignore[method-assign]
        pagination = {**PAGES["offset"], "within": {**WINDOW, "split_on": {"status": 400}}}
        assert (
            await run(
                kit.write_config(tmp_path, replica.url, source=source(pagination)),
                "2024-01-01T01:00:00Z",
            )
        ).exit_code == 0
    assert kit.lake_ids(tmp_path) == [number for number in range(30) if number % 7 != 3]
    assert kit.dead_ids(tmp_path) == [number for number in range(30) if number % 7 == 3]


async def test_a_look_at_the_source_shows_the_next_window(tmp_path: Path) -> None:
    async with Replica(items(30), SHAPE) as replica:
        config = kit.write_config(tmp_path, replica.url, source=source(WINDOW))
        seen = await peek(load_settings([config]), "items", records=1, pages=1)
    assert seen.received == 10 and seen.position is not None and seen.position.at is None
    assert seen.position.place["window"]["start"] == 1_704_067_200_000_000 + 600_000_000
