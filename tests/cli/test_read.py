"""`read` and `check --connect` look at a source and leave nothing behind."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import kit
from kit import worker
from ruamel.yaml import YAML

from worker.testing.replica import Fault, Replica, Shape

SOURCE = {
    "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}
}


async def test_read_prints_transformed_records_and_names_rejects(tmp_path: Path) -> None:
    records = [kit.item(number, second=number, bad=number == 1) for number in range(100)]
    async with Replica(records, Shape(style="cursor", cap=5)) as replica:
        config = kit.write_config(
            tmp_path,
            replica.url,
            source=SOURCE,
            transforms=[{"filter": "id != 3"}, {"set": {"region": "upper(region)"}}],
        )
        code, out, errors = await worker("read", str(config), "items", "-n", "6")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0, errors
    assert [line["id"] for line in lines] == [0, 2, 4, 5, 6, 7]
    assert lines[0] == {
        "id": 0,
        "tenant": "a",
        "region": "R0",
        "updated_at": "2024-01-01T00:00:00Z",
        "value": 0,
    }
    assert (
        "reject: record 1, validate invalid: "
        "$.value: found text of 3 characters, allowed a whole number" in errors
    )
    assert "2 pages of partition default: 10 records received, 1 filtered, 1 rejects" in errors
    assert len(replica.requests) == 2
    assert not (tmp_path / "state").exists()
    assert not (tmp_path / "lake").exists()


async def test_read_counts_records_as_they_stand_in_their_page(tmp_path: Path) -> None:
    records = [kit.item(number, second=number, bad=number == 1) for number in range(5)]
    async with Replica(records, Shape(style="cursor", cap=5)) as replica:
        config = kit.write_config(
            tmp_path,
            replica.url,
            source=SOURCE,
            transforms=[{"filter": "10 // (id - 3) != 99"}],
        )
        code, _, errors = await worker("read", str(config), "items", "-n", "5")
    assert code == 0, errors
    assert "reject: record 1, validate invalid" in errors
    assert "reject: record 3, transform division_by_zero" in errors


async def test_check_connect_says_what_came_back_and_where_the_next_page_is(tmp_path: Path) -> None:
    records = [kit.item(number, second=number) for number in range(20)]
    async with Replica(records, Shape(style="cursor", cap=5)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        code, out, errors = await worker("check", str(config), "--connect", "--json")
    assert code == 0, errors
    (promise,) = json.loads(out)
    assert promise["connected"] == "partition default: 5 records, 0 of them rejects, 0 filtered"
    assert "token" in promise["next_position"]
    assert len(replica.requests) == 1


async def test_check_connect_says_in_words_where_the_next_page_is(tmp_path: Path) -> None:
    records = [kit.item(number, second=number) for number in range(20)]
    async with Replica(records, Shape(style="cursor", cap=5)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        code, out, errors = await worker("check", str(config), "--connect")
    assert code == 0, errors
    assert "next position: 1 pages read, the next one is at token " in out
    assert "{" not in out


async def test_check_connect_says_why_not_and_how_it_exits(tmp_path: Path) -> None:
    async with Replica([], Shape(), lambda number, seen: Fault("status", status=401)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        code, out, _ = await worker("check", str(config), "--connect")
    assert code == 77
    assert "status 401" in out


async def test_check_connect_asks_once_however_patient_the_pipeline_is(tmp_path: Path) -> None:
    for fault in (
        Fault("status", status=503),
        Fault("status", status=429, headers={"Retry-After": "300"}),
    ):
        async with Replica([], Shape(), lambda number, seen, fault=fault: fault) as replica:
            config = kit.write_config(tmp_path, replica.url, source=SOURCE)
            code, out, _ = await worker("check", str(config), "--connect")
        assert code == 69
        assert f"status {fault.status}" in out
        assert len(replica.requests) == 1


async def test_the_worst_of_several_sources_is_the_exit_code_of_check_connect(
    tmp_path: Path,
) -> None:
    async with Replica(
        [],
        Shape(),
        lambda number, seen: Fault("status", status=503 if "later" in seen.query else 401),
    ) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        document = YAML(typ="safe").load(config)
        document["pipelines"]["later"] = {
            **document["pipelines"]["items"],
            "sink": {"path": str(tmp_path / "later")},
        }
        document["pipelines"]["later"]["source"] = {
            **document["pipelines"]["items"]["source"],
            "params": {"later": 1},
        }
        with config.open("w") as file:
            YAML(typ="safe").dump(document, file)
        code, out, _ = await worker("check", str(config), "--connect")
    assert "status 401" in out and "status 503" in out
    assert code == 77


async def test_read_says_why_it_takes_so_long(tmp_path: Path) -> None:
    async with Replica(
        [kit.item(1, second=1)],
        Shape(style="cursor"),
        lambda number, seen: Fault("status", status=503) if number < 2 else None,
    ) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        code, out, errors = await worker("read", str(config), "items")
    assert code == 0 and json.loads(out)["id"] == 1
    assert "attempt 1 failed" in errors and "status 503" in errors


async def test_ctrl_c_ends_a_look_with_130(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()  # until the other side goes away
        writer.close()

    async with await asyncio.start_server(never, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        config = kit.write_config(tmp_path, f"http://127.0.0.1:{port}/x")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "worker",
            "read",
            str(config),
            "items",
            stderr=asyncio.subprocess.PIPE,
        )
        await asked.wait()
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert process.returncode == 130
    assert errors.decode().split() == ["aborted"]


async def test_check_connect_ends_with_65_where_the_page_shows_the_config_to_be_wrong(
    tmp_path: Path,
) -> None:
    records = [kit.item(number, second=number) for number in range(20)]
    wrong = {"pagination": {**SOURCE["pagination"], "from": {"body": "meta.cursor"}}}
    async with Replica(records, Shape(style="cursor", cap=5)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=wrong)
        code, out, _ = await worker("check", str(config), "--connect")
        assert code == 65 and "error: [token_missing]" in out and "meta.next" in out
        code, out, _ = await worker("check", str(config), "--connect", "--json")
        (promise,) = json.loads(out)
        assert code == 65 and promise["findings"][0]["code"] == "token_missing"
        code, out, errors = await worker("read", str(config), "items", "-n", "2")
        assert code == 65 and len(out.splitlines()) == 2 and "[token_missing]" in errors


async def test_check_connect_ends_with_0_where_the_last_page_has_no_token(tmp_path: Path) -> None:
    records = [kit.item(number, second=number) for number in range(3)]
    async with Replica(records, Shape(style="cursor", cap=5)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        code, out, errors = await worker("check", str(config), "--connect")
    assert code == 0 and "error" not in out, (out, errors)


async def test_read_prints_what_came_before_a_failure(tmp_path: Path) -> None:
    records = [kit.item(number, second=number) for number in range(20)]

    def fault(number: int, seen: object) -> Fault | None:
        return Fault("status", status=403) if number == 3 else None

    async with Replica(records, Shape(style="cursor", cap=5), fault) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        code, out, errors = await worker("read", str(config), "items", "-n", "15")
    assert [json.loads(line)["id"] for line in out.splitlines()] == list(range(10))
    assert code == 77 and "status 403" in errors and "2 pages of partition default" in errors
