"""Avro bodies in whole runs: real HTTP, real files, checked with fastavro."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastavro
import kit
import pytest
from avro_kit import PAGES, avro_server, container, datum, row

from worker.app import RunResult, replay_async, run_async
from worker.cli.check import examine
from worker.settings import load_settings

COLOURED = {
    **kit.SCHEMA,
    "fields": [
        *kit.SCHEMA["fields"],
        {"name": "colour", "type": {"type": "enum", "name": "C", "symbols": ["red", "blue"]}},
    ],
}


async def run(config: Path) -> RunResult:
    return await run_async(load_settings([config]), once=True)


def lake(directory: Path) -> list[dict[str, Any]]:
    records: list[Any] = []
    for path in kit.published(directory):
        with path.open("rb") as file:
            records += fastavro.reader(file)
    return sorted(records, key=lambda record: record["id"])


@pytest.mark.parametrize("codec", ["null", "deflate", "zstandard"])
async def test_containers_become_files_of_the_schema(tmp_path: Path, codec: str) -> None:
    wider = {**kit.SCHEMA, "fields": [{"name": "more", "type": "string"}, *kit.SCHEMA["fields"]]}
    bodies = [
        container(
            wider if page % 2 else kit.SCHEMA,
            [row(page * 100 + n, more="x") for n in range(100)],
            codec,
        )
        for page in range(10)
    ]
    async with avro_server(bodies) as url:
        result = await run(
            kit.write_config(
                tmp_path,
                url,
                source=PAGES,
                decode={"type": "avro"},
                sink={"partition_by": "region={region}"},
            )
        )
    assert result.exit_code == 0, result
    assert kit.lake_ids(tmp_path) == list(range(1_000))
    assert lake(tmp_path)[7]["updated_at"].isoformat() == "2024-01-01T00:00:07+00:00"


async def test_transforms_filters_and_marks_work_as_on_json(tmp_path: Path) -> None:
    output = {
        "type": "record",
        "name": "Out",
        "fields": [
            {"name": "id", "type": "long"},
            {"name": "place", "type": "string"},
            {"name": "odd", "type": "boolean"},
        ],
    }
    (tmp_path / "out.avsc").write_text(json.dumps(output))
    steps = [
        {"filter": "value > 3"},
        {"rename": {"region": "place"}},
        {"set": {"odd": "value - 2 * (value // 2) == 1"}},
        {"select": ["id", "place", "odd"]},
    ]
    incremental = {
        "field": "updated_at",
        "param": "since",
        "format": {"record": "epoch_ms", "param": "epoch_ms"},
    }
    bodies = [container(kit.SCHEMA, [row(page * 10 + n) for n in range(10)]) for page in range(3)]
    source = {**PAGES, "key": ["id"], "incremental": incremental}
    async with avro_server(bodies) as url:
        config = kit.write_config(
            tmp_path,
            url,
            source=source,
            decode={"type": "avro"},
            transforms=steps,
            output_schema="out.avsc",
        )
        result = await run(config)
        assert result.exit_code == 0, result
        assert lake(tmp_path) == [
            {"id": n, "place": f"r{n % 7 % 3}", "odd": n % 2 == 1} for n in range(4, 30)
        ]
        bodies[:] = [container(kit.SCHEMA, [row(n) for n in range(29, 33)])]
        result = await run(config)
    assert result.pipelines[0].records == 3
    assert result.pipelines[0].deduplicated == 1
    assert [each["id"] for each in lake(tmp_path)] == list(range(4, 33))


async def test_a_symbol_that_the_schema_lacks_is_a_dead_letter_that_can_be_replayed(
    tmp_path: Path,
) -> None:
    written = json.loads(json.dumps(COLOURED).replace('"blue"', '"blue", "green"'))
    bodies = [
        container(written, [row(n, colour="green" if n % 5 == 2 else "red") for n in range(20)])
    ]
    async with avro_server(bodies) as url:
        config = kit.write_config(tmp_path, url, source=PAGES, decode={"type": "avro"})
        (tmp_path / "item.avsc").write_text(json.dumps(COLOURED))
        result = await run(config)
        assert result.exit_code == 0, result
        assert kit.dead_ids(tmp_path) == [2, 7, 12, 17]
        assert [each["id"] for each in lake(tmp_path)] == [n for n in range(20) if n % 5 != 2]
        (tmp_path / "item.avsc").write_text(json.dumps(written))
        assert (await replay_async(load_settings([config]), "items")).exit_code == 0
    assert [each["id"] for each in lake(tmp_path)] == list(range(20))
    assert lake(tmp_path)[2]["colour"] == "green"


async def test_raw_datums_and_single_objects_with_schemas_of_the_config(tmp_path: Path) -> None:
    (tmp_path / "old.avsc").write_text(
        json.dumps(
            {**kit.SCHEMA, "fields": [{"name": "note", "type": "string"}, *kit.SCHEMA["fields"]]}
        )
    )
    old = json.loads((tmp_path / "old.avsc").read_text())
    async with avro_server([b"".join(datum(old, row(n, note="x")) for n in range(50)), b""]) as url:
        result = await run(
            kit.write_config(
                tmp_path,
                url,
                source=PAGES,
                decode={"type": "avro", "framing": "raw", "writer_schema": "old.avsc"},
            )
        )
    assert result.exit_code == 0, result
    assert kit.lake_ids(tmp_path) == list(range(50))


async def test_a_damaged_body_is_asked_for_again_and_never_half_committed(tmp_path: Path) -> None:
    bodies = [
        container(kit.SCHEMA, [row(page * 50 + n) for n in range(50)], "null") for page in range(4)
    ]
    whole = bodies[2]
    bodies[2] = whole[:-30]
    async with avro_server(bodies) as url:
        config = kit.write_config(tmp_path, url, source=PAGES, decode={"type": "avro"})
        result = await run(config)
        assert result.exit_code == 69, result
        assert "is no intact Avro container" in result.pipelines[0].error
        assert kit.lake_ids(tmp_path) == list(range(100))
        bodies[2] = whole
        assert (await run(config)).exit_code == 0
    assert kit.lake_ids(tmp_path) == list(range(200))


async def test_a_damaged_body_may_become_a_dead_letter(tmp_path: Path) -> None:
    bodies = [container(kit.SCHEMA, [row(page)]) for page in range(3)]
    bodies[1] = b"Obj\x01\xff\xff"
    async with avro_server(bodies) as url:
        result = await run(
            kit.write_config(
                tmp_path,
                url,
                source={**PAGES, "on_body_error": "dead_letter"},
                decode={"type": "avro"},
            )
        )
    assert result.exit_code == 0, result
    assert kit.lake_ids(tmp_path) == [0, 2]
    [letters] = (tmp_path / "state" / "dead_letters" / "items").glob("*.ndjson")
    assert json.loads(letters.read_text())["raw_base64"] == "T2JqAf//"


@pytest.mark.fault(53, by="a partition whose bodies have a schema that cannot be read")
async def test_a_schema_that_cannot_be_read_parks_the_partition_with_every_reason(
    tmp_path: Path,
) -> None:
    other = {"type": "record", "name": "Item", "fields": [{"name": "id", "type": "string"}]}
    async with avro_server(
        [container(kit.SCHEMA, [row(1)]), container(other, [{"id": "x"}])]
    ) as url:
        result = await run(kit.write_config(tmp_path, url, source=PAGES, decode={"type": "avro"}))
    assert result.exit_code == 65
    assert "$.id: string cannot be read as long" in result.pipelines[0].error
    assert "$.tenant: the writer has no such field" in result.pipelines[0].error
    assert kit.lake_ids(tmp_path) == [1]


@pytest.mark.parametrize("kind", ["json", "ndjson"])
async def test_the_json_encoding_of_avro_with_a_reject(tmp_path: Path, kind: str) -> None:
    nullable = {
        **kit.SCHEMA,
        "fields": [*kit.SCHEMA["fields"], {"name": "note", "type": ["null", "string"]}],
    }
    records = [row(n, note={"string": "x"} if n % 2 else None) for n in range(6)] + [
        row(6, note="untagged")
    ]
    body = (
        json.dumps(records).encode()
        if kind == "json"
        else b"\n".join(json.dumps(each).encode() for each in records)
    )
    async with avro_server([body]) as url:
        config = kit.write_config(
            tmp_path, url, source=PAGES, decode={"type": kind, "encoding": "avro"}
        )
        (tmp_path / "item.avsc").write_text(json.dumps(nullable))
        assert (await run(config)).exit_code == 0
    assert [each["note"] for each in lake(tmp_path)] == [None, "x", None, "x", None, "x"]
    assert kit.dead_ids(tmp_path) == [6]


@pytest.mark.parametrize(
    ("decode", "more", "said"),
    [
        (
            {"type": "json", "framing": "raw"},
            {},
            "framing is a key of type avro",
        ),
        (
            {"type": "avro", "encoding": "avro"},
            {},
            "encoding is a key of type json, json_stream and ndjson",
        ),
        (
            {"type": "json", "encoding": "avro"},
            {"validation": {"bytes": "base64"}},
            "they are latin1 there",
        ),
        ({"type": "avro", "framing": "raw"}, {}, "raw datums need writer_schema"),
        (
            {"type": "avro", "writer_schema": "item.avsc"},
            {},
            "is not configured: the data names it",
        ),
        ({"type": "avro", "framing": "confluent"}, {}, "set decode.registry"),
        (
            {"type": "avro", "framing": "single_object", "writer_schema": ["nowhere.avsc"]},
            {},
            "nowhere.avsc cannot be read",
        ),
        (
            {"type": "avro"},
            {"validation": {"unknown_fields": "reject"}},
            "reject has no meaning with decode.type avro",
        ),
        (
            {"type": "avro"},
            {"source": {"records": "items"}},
            "records has no meaning with decode.type avro",
        ),
        (
            {"type": "avro"},
            {"source": {"records": None, "pagination": {"type": "next_url", "path": "a.b"}}},
            "an Avro body has nothing but records",
        ),
        (
            {"type": "avro"},
            {
                "source": {
                    "records": None,
                    "pagination": {
                        "type": "cursor",
                        "from": {"last_record": "zz"},
                        "to": {"param": "x"},
                    },
                }
            },
            "no field 'zz'",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_check(
    tmp_path: Path, decode: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    problems, _ = examine(
        [
            kit.write_config(
                tmp_path, "http://127.0.0.1:9/x", decode=decode, **{"source": PAGES, **more}
            )
        ]
    )
    assert said in " ".join(map(str, problems)), problems
