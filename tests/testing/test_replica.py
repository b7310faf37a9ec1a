"""The replica does what its tests rely on: each style, each switch, each fault."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from worker.testing.replica import TOTAL_HEADER, Fault, Record, Replica, Shape, Style

RECORDS = 1_203


def rows(count: int = RECORDS) -> list[Record]:
    return [
        {"id": number, "city": "ab"[number % 2], "updated_at": f"2024-01-{number % 28 + 1:02}"}
        for number in range(count)
    ]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        auto_decompress=False, timeout=aiohttp.ClientTimeout(total=10)
    ) as session:
        yield session


async def page(
    http: aiohttp.ClientSession, url: str, **params: Any
) -> tuple[dict[str, Any], aiohttp.ClientResponse]:
    async with http.get(url, params=params) as response:
        return await response.json(content_type=None), response


async def walk(http: aiohttp.ClientSession, replica: Replica) -> list[list[int]]:
    """The ids of each page, read the way the style wants it."""
    pages: list[list[int]] = []
    style, url, params = replica.shape.style, replica.url, {"limit": "1000"}
    while True:
        body, response = await page(http, url, **params)
        pages.append([each["id"] for each in body["items"]])
        received = sum(map(len, pages))
        following: Any = None
        match style:
            case "cursor":
                following = body["meta"]["next"]
                params = {"limit": "1000", "cursor": following}
            case "next_url":
                following = body["links"]["next"]
            case "link_header":
                following = response.links["next"]["url"] if response.links else None
            case "page":
                following = len(pages[-1])
                params = {"limit": "1000", "page": str(replica.shape.first + len(pages))}
            case "offset":
                following = len(pages[-1])
                params = {"limit": "1000", "offset": str(replica.shape.first + received)}
        if not following:
            return pages
        if style in ("next_url", "link_header"):
            url, params = str(following), {}


@pytest.mark.parametrize("style", ["cursor", "next_url", "link_header", "page", "offset"])
async def test_each_style_serves_every_record_once_under_the_cap(
    http: aiohttp.ClientSession, style: Style
) -> None:
    async with Replica(rows(), Shape(style=style, cap=500)) as replica:
        pages = await walk(http, replica)
    assert [len(each) for each in pages if each] == [500, 500, 203]
    assert [number for each in pages for number in each] == list(range(RECORDS))


async def test_style_none_serves_everything_at_once(http: aiohttp.ClientSession) -> None:
    async with Replica(rows()) as replica:
        assert [len(each) for each in await walk(http, replica)] == [RECORDS]


@pytest.mark.parametrize(
    ("style", "start", "default"),
    [("page", None, 1), ("page", 0, 0), ("offset", None, 0), ("offset", 1, 1)],
)
async def test_positions_start_where_the_shape_says(
    http: aiohttp.ClientSession, style: Style, start: int | None, default: int
) -> None:
    async with Replica(rows(), Shape(style=style, start=start, cap=10)) as replica:
        body, _ = await page(http, replica.url, **{style: str(default)})
        assert body["items"][0]["id"] == 0
        _, before = await page(http, replica.url, **{style: str(default - 1)})
        assert before.status == 400


async def test_total_in_the_body_and_in_a_header(http: aiohttp.ClientSession) -> None:
    async with Replica(rows(7), Shape(style="page", total="body")) as replica:
        assert (await page(http, replica.url))[0]["meta"]["total"] == 7
    async with Replica(rows(7), Shape(style="page", total="header")) as replica:
        assert (await page(http, replica.url))[1].headers[TOTAL_HEADER] == "7"


async def test_a_page_that_always_fails(http: aiohttp.ClientSession) -> None:
    async with Replica(rows(100), Shape(style="page", cap=10, fail_pages={7: 500})) as replica:
        statuses = [
            (await page(http, replica.url, page=str(number)))[1].status for number in (6, 7, 7, 8)
        ]
    assert statuses == [200, 500, 500, 200]


async def test_tokens_repeat_or_go_in_a_cycle(http: aiohttp.ClientSession) -> None:
    async with Replica(rows(100), Shape(style="cursor", cap=10, tokens=("A", "B"))) as replica:
        found, token = [], ""
        for _ in range(4):
            body, _ = await page(http, replica.url, cursor=token)
            token = body["meta"]["next"]
            found.append(token)
    assert found == ["A", "B", "A", "B"]


async def test_a_foreign_cursor_is_refused(http: aiohttp.ClientSession) -> None:
    async with Replica(rows(10), Shape(style="cursor")) as replica:
        assert (await page(http, replica.url, cursor="bm9wZQ=="))[1].status == 400


async def test_filters_select_a_partition(http: aiohttp.ClientSession) -> None:
    async with Replica(rows(10), Shape(filters=("city",))) as replica:
        body, _ = await page(http, replica.url, city="b")
    assert [each["id"] for each in body["items"]] == [1, 3, 5, 7, 9]


async def test_since_is_inclusive_and_sorts_by_time_then_id(http: aiohttp.ClientSession) -> None:
    async with Replica(rows(60), Shape(since="since")) as replica:
        body, _ = await page(http, replica.url, since="2024-01-28")
    assert [each["id"] for each in body["items"]] == [27, 55]


async def test_records_may_change_while_it_runs(http: aiohttp.ClientSession) -> None:
    async with Replica(rows(3)) as replica:
        replica.records.append({"id": 99})
        assert len((await page(http, replica.url))[0]["items"]) == 4


async def test_bodies_are_padded_and_compressed(http: aiohttp.ClientSession) -> None:
    async with (
        Replica(rows(1), Shape(pad_bytes=10_000)) as replica,
        http.get(replica.url) as response,
    ):
        assert len(await response.read()) > 10_000
    async with Replica(rows(1), Shape(compress=True)) as replica, http.get(replica.url) as response:
        assert b'"items"' in gzip.decompress(await response.read())


async def test_requests_are_logged_in_order(http: aiohttp.ClientSession) -> None:
    async with Replica(rows(1)) as replica:
        await page(http, replica.url, a="1")
        async with http.post(replica.url, data=b"query", headers={"X-Test": "yes"}) as response:
            assert response.status == 200
    first, second = replica.requests
    assert (first.number, first.method, first.query, first.path) == (1, "GET", {"a": "1"}, "/items")
    assert (second.number, second.method, second.body, second.headers["X-Test"]) == (
        2,
        "POST",
        b"query",
        "yes",
    )


async def test_a_script_decides_by_number_and_request(http: aiohttp.ClientSession) -> None:
    limited = Fault("status", 429, {"Retry-After": "1"})
    async with Replica(
        rows(1), script=lambda number, seen: limited if number == 1 and "a" in seen.query else None
    ) as replica:
        _, first = await page(http, replica.url, a="1")
        _, second = await page(http, replica.url, a="1")
    assert (first.status, first.headers["Retry-After"], second.status) == (429, "1", 200)


async def test_a_truncated_gzip_body_has_no_end(http: aiohttp.ClientSession) -> None:
    async with (
        Replica(rows(), script=lambda *_: Fault("truncated_gzip")) as replica,
        http.get(replica.url) as response,
    ):
        body = await response.read()
    assert response.headers["Content-Encoding"] == "gzip"
    with pytest.raises(EOFError):
        gzip.decompress(body)


async def test_a_body_shorter_than_its_length(http: aiohttp.ClientSession) -> None:
    async with (
        Replica(rows(), script=lambda *_: Fault("truncated_length")) as replica,
        http.get(replica.url) as response,
    ):
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_stall_sends_half_and_then_nothing(http: aiohttp.ClientSession) -> None:
    patience = aiohttp.ClientTimeout(sock_read=0.2)
    async with (
        Replica(rows(), script=lambda *_: Fault("stall")) as replica,
        http.get(replica.url, timeout=patience) as response,
    ):
        assert response.status == 200
        with pytest.raises(aiohttp.SocketTimeoutError):
            await response.read()


async def test_a_reset_answers_nothing(http: aiohttp.ClientSession) -> None:
    async with Replica(rows(), script=lambda *_: Fault("reset")) as replica:
        with pytest.raises(aiohttp.ClientConnectionError):
            await page(http, replica.url)


async def test_html_and_error_objects_come_with_200(http: aiohttp.ClientSession) -> None:
    async with Replica(
        rows(), script=lambda number, _: Fault("html" if number == 1 else "error_object")
    ) as replica:
        async with http.get(replica.url) as response:
            assert (response.status, response.content_type) == (200, "text/html")
        body, second = await page(http, replica.url)
    assert second.status == 200
    assert set(body) == {"error"}
