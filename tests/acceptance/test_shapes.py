"""Transforms, formats and bad data through the whole pipeline; the ledger and `verify` hold after
each.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import kit
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from worker.app import RunResult, run_async
from worker.settings import load_settings
from worker.testing.replica import Replica, Shape
from worker.wiring.evidence import verified
from worker.wiring.logs import open_log

SOURCE = {
    "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}
}


async def run(config: Path, code: int = 0) -> RunResult:
    settings = load_settings([config])
    result = await run_async(settings, once=True)
    assert result.exit_code == code, result
    if (settings.state.path / "state.db").exists():
        log = open_log(settings, read_only=True)
        report = verified(settings, log, "items")
        log.close()
        assert report.findings == []
    return result


def rows(directory: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(route, record) of what is published."""
    lake = directory / "lake"
    for path in sorted(lake.rglob("items-*")):
        if ".worker" in path.parts or not path.is_file():
            continue
        route = str(path.parent.relative_to(lake))
        if path.suffix == ".avro":
            with path.open("rb") as file:
                yield from ((route, dict(record)) for record in fastavro.reader(file))  # type: ignore[call-overload,arg-type]
        else:
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            yield from ((route, json.loads(line)) for line in data.splitlines())


def letters(directory: Path) -> list[dict[str, Any]]:
    root = directory / "state" / "dead_letters" / "items"
    return [
        json.loads(line)
        for path in sorted(root.glob("items-*.ndjson"))
        for line in path.read_text().splitlines()
    ]


async def serve(body: bytes, content_type: str = "application/json") -> TestServer:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type)

    app = web.Application()
    app.router.add_get("/v1/items", handler)
    server = TestServer(app)
    await server.start_server()
    return server


OUTPUT = {
    "type": "record",
    "name": "Out",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "place", "type": "string"},
        {"name": "ratio", "type": "double"},
        {"name": "owner", "type": "string"},
        {"name": "big", "type": "boolean"},
    ],
}


async def test_transforms_change_the_shape_and_routes_come_from_the_output(tmp_path: Path) -> None:
    records = [kit.item(number, second=number) for number in range(1_200)]
    async with Replica(records, Shape(style="cursor", cap=100)) as replica:
        config = kit.write_config(
            tmp_path,
            replica.url,
            source=SOURCE,
            sink={"partition_by": "big={big}/place={place}"},
            output_schema="out.avsc",
            transforms=[
                {"filter": "value >= 10 and region in ['r0', 'r1']"},
                {"rename": {"region": "place", "tenant": "owner"}},
                {"set": {"ratio": "1000 / (value - 500)", "big": "value > 900"}},
                {"mask": {"fields": ["owner"], "method": "hash", "key": "k"}},
                {"drop": ["updated_at", "value"]},
            ],
        )
        (tmp_path / "out.avsc").write_text(json.dumps(OUTPUT))
        result = await run(config)
    expected = [each for each in records if each["value"] >= 10 and each["region"] in ("r0", "r1")]
    got = list(rows(tmp_path))
    assert sorted(record["id"] for _, record in got) == [
        each["id"] for each in expected if each["value"] != 500
    ]
    assert result.pipelines[0].rejects == sum(each["value"] == 500 for each in expected) > 0
    for route, record in got:
        assert route == f"big={str(record['big']).lower()}/place={record['place']}"
        assert len(record["owner"]) == 64
        assert record["ratio"] == 1000 / (records[record["id"]]["value"] - 500)
    assert {letter["code"] for letter in letters(tmp_path)} == {"division_by_zero"}
    assert all(
        json.loads(letter["raw"]) == records[json.loads(letter["raw"])["id"]]
        for letter in letters(tmp_path)
    )


PYTHON = '''
def split(record):
    """One record for each half; ids that end in 3 vanish, those in 5 fail, those in 7 have a wrong half."""
    if record["id"] % 10 == 3:
        return None
    if record["id"] % 10 == 5:
        raise KeyError("secret content")
    halves = [{**record, "value": record["value"] // 2}, {**record, "value": record["value"] - record["value"] // 2}]
    if record["id"] % 10 == 7:
        halves[1]["value"] = "wrong"
    return halves
'''


async def test_a_python_step_filters_expands_and_rejects_whole_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "halves.py").write_text(PYTHON)
    monkeypatch.syspath_prepend(str(tmp_path))
    records = [kit.item(number, second=number) for number in range(100)]
    async with Replica(records, Shape(style="cursor", cap=30)) as replica:
        config = kit.write_config(
            tmp_path,
            replica.url,
            source=SOURCE,
            transforms=[{"python": "halves:split"}, {"filter": "value > 0"}],
        )
        result = await run(config)
    totals: dict[int, int] = {}
    for _, record in rows(tmp_path):
        totals[record["id"]] = totals.get(record["id"], 0) + record["value"]
    assert totals == {
        number: number for number in range(100) if number % 10 not in (3, 5, 7) and number > 0
    }
    assert result.pipelines[0].rejects == 20
    assert {letter["code"] for letter in letters(tmp_path)} == {"python_error", "python_result"}
    assert not any("secret content" in json.dumps(letter["errors"]) for letter in letters(tmp_path))


@pytest.mark.parametrize("codec", ["null", "gzip"])
async def test_ndjson_in_and_out(tmp_path: Path, codec: str) -> None:
    records = [kit.item(number, second=number) for number in range(500)]
    lines = [json.dumps(record).encode() for record in records]
    lines[100] = b"{broken"
    lines[200] = b'{"id": 200} {"id": 201}'
    server = await serve(b"\n".join(lines) + b"\n\n", "application/x-ndjson")
    config = kit.write_config(
        tmp_path,
        str(server.make_url("/v1/items")),
        source={"records": None},
        decode={"type": "ndjson"},
        sink={"format": "ndjson", "codec": codec, "roll": {"records": 200}},
    )
    config.write_text(
        config.read_text()
        .replace("      records: null\n", "")
        .replace("records: null, ", "")
        .replace("records: null", "method: GET")
    )
    result = await run(config)
    await server.close()
    assert [record["id"] for _, record in rows(tmp_path)] == [
        number for number in range(500) if number not in (100, 200)
    ]
    assert next(rows(tmp_path))[1] == {**records[0], "updated_at": "2024-01-01T00:00:00Z"}
    assert result.pipelines[0].rejects == 2
    assert [letter["raw"] for letter in letters(tmp_path)] == ["{broken", '{"id": 200} {"id": 201}']


GOOD = json.dumps(kit.item(1, second=1)).encode()
BIG = json.dumps({**kit.item(2, second=1), "tenant": "x" * 10_000_000}).encode()


def page(*items: bytes) -> bytes:
    return b'{"items": [' + b",".join(items) + b"]}"


@pytest.mark.fault(41, by="a corpus of hostile bodies")
@pytest.mark.parametrize(
    ("body", "code", "ids", "rejects"),
    [
        (b"not json", 69, [], []),
        (b"<html>down</html>", 69, [], []),
        (b"", 69, [], []),
        (b"null", 65, [], []),
        (b"42", 65, [], []),
        (b'{"error": "x"}', 65, [], []),
        (page(GOOD, GOOD[:-1] + b', "x": NaN}'), 0, [1], ["no_json"]),
        (page(GOOD, GOOD[:-1] + b', "x": "\\ud800"}'), 0, [1], ["no_json"]),
        (
            page(GOOD, GOOD[:-1] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
            0,
            [1],
            ["nested_too_deep"],
        ),
        (page(GOOD).replace(b'"tenant": "b"', b'"tenant": "\xff"'), 65, [], ["no_json"]),
        (page(GOOD).decode().encode("utf-16"), 0, [1], []),
        (page(GOOD, BIG), 0, [1], ["record_too_large"]),
        (page(GOOD[:-1] + b', "id": 7}'), 0, [7], []),  # a duplicate key: the last counts
        (page(GOOD, b"null", b"3", b"[]", b'"x"'), 0, [1], ["invalid"] * 4),
        (page(GOOD.replace(b'"id": 1', b'"id": 1e400')), 65, [], ["no_json"]),
        (page(GOOD.replace(b'"id": 1', b'"id": 99999999999999999999')), 65, [], ["invalid"]),
        (page(GOOD.replace(b'"id": 1', b'"id": 1.0')), 65, [], ["invalid"]),
        (page(GOOD.replace(b'"id": 1', b'"id": true')), 65, [], ["invalid"]),
        (page(GOOD.replace(b'"id": 1', b'"id": 1, "__class__": {"a": [1]}')), 0, [1], []),
        (b"\xef\xbb\xbf" + page(GOOD), 0, [1], []),
        (b'{"items": null}', 0, [], []),
        (b'{"items": {}}', 65, [], []),
        (b'{"items": []}', 0, [], []),
    ],
)
async def test_hostile_bodies_have_a_documented_outcome(
    body: bytes, code: int, ids: list[int], rejects: list[str], tmp_path: Path
) -> None:
    server = await serve(body)
    config = kit.write_config(
        tmp_path,
        str(server.make_url("/v1/items")),
        source={"retry": {"max_attempts": 2, "base": "1ms", "cap": "1ms"}},
    )
    result = await run(config, code)
    await server.close()
    assert [record["id"] for _, record in rows(tmp_path)] == ids
    assert [letter["code"] for letter in letters(tmp_path)] == rejects
    assert result.pipelines[0].records == len(ids)


@pytest.mark.parametrize(("rule", "code"), [({}, 1), ({"on_status": {304: "empty"}}, 0)])
async def test_a_304_that_nobody_asked_for_is_no_empty_page(
    rule: dict[str, Any], code: int, tmp_path: Path
) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=304)

    app = web.Application()
    app.router.add_get("/v1/items", handler)
    server = TestServer(app)
    await server.start_server()
    result = await run(
        kit.write_config(tmp_path, str(server.make_url("/v1/items")), source=rule), code
    )
    await server.close()
    assert ("not modified" in result.pipelines[0].error) == bool(code)


@pytest.mark.parametrize("key", [{}, {"key": ["id"]}], ids=["keyless", "keyed"])
@pytest.mark.parametrize("marks", [{}, {"incremental": {"field": "updated_at", "param": "since"}}])
@pytest.mark.parametrize("bad", [{1}, {2}, {2, 3}, {2, 4}], ids=str)
async def test_a_bad_body_may_be_a_dead_letter_where_the_next_page_does_not_need_it(
    key: dict[str, Any], marks: dict[str, Any], bad: set[int], tmp_path: Path
) -> None:
    async def handler(request: web.Request) -> web.Response:
        number = int(request.query["page"])
        if number in bad:
            return web.Response(body=b'{"items": [cut %d' % number)
        items = [kit.item(number * 10 + each, second=number) for each in range(3)]
        return web.json_response({"items": items if number < 5 else []})

    app = web.Application()
    app.router.add_get("/v1/items", handler)
    server = TestServer(app)
    await server.start_server()
    source = {
        "pagination": {"type": "page", "param": "page"},
        "on_body_error": "dead_letter",
        "retry": {"max_attempts": 2, "base": "1ms", "cap": "1ms"},
        **key,
        **marks,
    }
    config = kit.write_config(tmp_path, str(server.make_url("/v1/items")), source=source)
    result = await run_async(load_settings([config]), once=True)
    await server.close()
    assert result.exit_code == 0, result
    assert [record["id"] for _, record in rows(tmp_path)] == [
        number * 10 + each for number in range(1, 5) if number not in bad for each in range(3)
    ]
    assert [(letter["code"], letter["raw"]) for letter in letters(tmp_path)] == [
        ("bad_body", f'{{"items": [cut {number}') for number in sorted(bad)
    ]


@pytest.mark.fault(32, by="a source that turns bad")
async def test_a_source_that_turns_bad_stops_before_it_is_committed(tmp_path: Path) -> None:
    records = [kit.item(number, second=number, bad=number >= 600) for number in range(2_000)]
    async with Replica(records, Shape(style="cursor", cap=100)) as replica:
        config = kit.write_config(
            tmp_path,
            replica.url,
            source=SOURCE,
            sink={"roll": {"records": 500}},
            dead_letters={"max_ratio": 0.2, "window": 200},
        )
        result = await run(config, 65)
    assert "dead_letters.max_ratio" in result.pipelines[0].error
    assert sorted(record["id"] for _, record in rows(tmp_path)) == list(range(500))
    assert letters(tmp_path) == []


async def test_fields_that_the_schema_lacks_are_announced_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    records = [{**kit.item(number, second=number), "new_field": [number]} for number in range(500)]
    async with Replica(records, Shape(style="cursor", cap=50)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        config.write_text(config.read_text().replace("level: error", "level: warning"))
        await run(config)
    said = [line for line in capfd.readouterr().err.splitlines() if "new_field" in line]
    assert len(said) == 1
    assert "array" in said[0]


async def test_snappy_files_open_in_fastavro(tmp_path: Path) -> None:
    pytest.importorskip("cramjam")
    records = [kit.item(number, second=number) for number in range(300)]
    async with Replica(records, Shape(style="cursor", cap=100)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE, sink={"codec": "snappy"})
        await run(config)
    assert [record["id"] for _, record in rows(tmp_path)] == list(range(300))


async def test_a_next_link_asks_for_what_it_says(tmp_path: Path) -> None:
    """Braces and quotes in it are data; a server that gets other ones answers for other records."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        number = len(asked)
        following = (
            f'/v1/items?filter={{"even":true}}&name=ü b&page={number}' if number < 3 else None
        )
        return web.json_response({"items": [kit.item(number, second=1)], "next": following})

    app = web.Application()
    app.router.add_get("/v1/items", handler)
    server = TestServer(app)
    await server.start_server()
    config = kit.write_config(
        tmp_path,
        str(server.make_url("/v1/items")),
        source={"pagination": {"type": "next_url", "path": "next"}},
    )
    await run(config)
    await server.close()
    assert asked[1:] == [
        f'/v1/items?filter={{"even":true}}&name=%C3%BC%20b&page={page}' for page in (1, 2)
    ]
