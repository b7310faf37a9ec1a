"""`state` and `status`: what an operator does on the second day."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from contextlib import closing
from pathlib import Path

import kit
import pytest
from kit import worker

from worker.cli import main
from worker.core.cursor import Cursor, PassState
from worker.core.model import Progress
from worker.state.sqlite import SqliteCommitLog
from worker.testing.commit_log_contract import Owner
from worker.testing.replica import Replica, Shape

SOURCE = {
    "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}},
    "key": ["id"],
    "incremental": {"field": "updated_at", "param": "since"},
}


async def test_a_mark_that_is_set_is_where_the_next_pass_starts(tmp_path: Path) -> None:
    records = [kit.item(number, second=number) for number in range(50)]
    async with Replica(records, Shape(style="cursor", cap=20, since="since")) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        assert (await worker("run", str(config), "--once"))[0] == 0
        code, out, _ = await worker(
            "state",
            "set",
            str(config),
            "--pipeline",
            "items",
            "--mark",
            "2024-01-01T00:00:40Z",
            "--yes",
        )
        assert code == 0 and "goes on at" in out
        assert (await worker("verify", str(config)))[0] == 0
        assert (await worker("run", str(config), "--once"))[0] == 0
        assert (await worker("verify", str(config)))[0] == 0
    assert kit.lake_ids(tmp_path) == sorted([*range(50), *range(40, 50)]), (
        "asked for, so written again"
    )


async def test_state_shows_marks_the_way_that_they_are_set_and_names_what_it_does_not_know(
    tmp_path: Path,
) -> None:
    async with Replica([kit.item(1, second=7)], Shape(style="cursor", since="since")) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        assert (await worker("run", str(config), "--once"))[0] == 0
    assert "mark 2024-01-01T00:00:07Z" in (await worker("state", "show", str(config)))[1]
    [pipeline] = json.loads((await worker("state", "show", str(config), "--json"))[1])
    assert pipeline["partitions"][0]["mark"] == "2024-01-01T00:00:07Z"
    code, out, errors = await worker("state", "show", str(config), "--pipeline", "other")
    assert (code, out) == (78, "") and "there are items" in errors
    assert (await worker("dlq", "show", str(config), "--pipeline", "items"))[
        1
    ] == "no dead letters wait\n"


def test_state_shows_where_a_pass_stands_in_words_and_as_json_as_it_is_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(kit.write_config(tmp_path, "http://127.0.0.1:1/x", source=SOURCE))
    place = PassState(since="2024-01-01T00:00:00Z", at={"cursor": "abc"}, pages=3)
    with closing(SqliteCommitLog(tmp_path / "state/state.db")) as log:
        log.load("items", {})
        cursors = {
            "begun": Cursor(pass_no=2, mark=1_704_067_200_000_000, position=place),
            "done": Cursor(complete=True),
            "new": Cursor(),
        }
        owner = Owner(log, *cursors, pipeline="items")
        owner.commit({name: Progress(cursor) for name, cursor in cursors.items()})
    with pytest.raises(SystemExit) as ended:
        main(["state", "show", config])
    first, *partitions = capsys.readouterr().out.splitlines()
    assert (ended.value.code, first.startswith("items: lineage ")) == (0, True)
    assert partitions == [
        (
            "  begun: pass 2, mark 2024-01-01T00:00:00Z, 3 pages read, the next one is at cursor abc,"
            " asked for from 2024-01-01T00:00:00Z on (commit 1)"
        ),
        "  done: complete (commit 1)",
        "  new: pass 1, no mark yet, at its start (commit 1)",
    ]
    with pytest.raises(SystemExit):
        main(["state", "show", config, "--json"])
    [pipeline] = json.loads(capsys.readouterr().out)
    assert list(pipeline) == [
        *("name", "pipeline", "shard", "lineage", "seq", "digest", "epoch", "published"),
        *("pruned", "partitions"),
    ]
    shown = pipeline["partitions"][0]
    assert list(shown) == ["partition", "shard", "seq", "cursor", "memory", "mark"]
    assert shown["cursor"] == json.loads(cursors["begun"].to_json())


async def test_a_dead_letter_commands_no_terminal(tmp_path: Path) -> None:
    body = b'{"items": [{"id": "\x1b[2J"}]}'

    async def source(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body)
        )
        writer.close()

    async with await asyncio.start_server(source, "127.0.0.1", 0) as server:
        config = str(
            kit.write_config(tmp_path, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x")
        )
        assert (await worker("run", config, "--once"))[0] == 65
    _, out, _ = await worker("dlq", "show", config, "--pipeline", "items")
    assert "\\x1b[2J" in out and "\x1b" not in out


async def test_a_pipeline_that_there_is_not_is_named_by_every_command_before_it_looks_at_the_state(
    tmp_path: Path,
) -> None:
    config = str(kit.write_config(tmp_path, "http://127.0.0.1:1/x", source=SOURCE))
    commands = (
        ("run", config, "--pipeline", "itmes"),
        ("read", config, "itmes"),
        ("schema", "drift", config, "itmes"),
        ("state", "reset", config, "--pipeline", "itmes"),
        *(
            ("dlq", command, config, "--pipeline", "itmes")
            for command in ("list", "show", "replay", "purge")
        ),
    )
    for command, (code, out, errors) in zip(
        commands, await asyncio.gather(*(worker(*command) for command in commands)), strict=True
    ):
        assert (code, out) == (78, ""), command
        assert (
            "no pipeline is called itmes" in errors
            and "did you mean 'items'? there are items" in errors
        ), command


async def test_a_mark_that_is_none_is_refused(tmp_path: Path) -> None:
    config = kit.write_config(tmp_path, "http://127.0.0.1:1/x", source=SOURCE)
    code, _, errors = await worker(
        "state", "set", str(config), "--pipeline", "items", "--mark", "soon", "--yes"
    )
    assert code == 78 and "rfc3339" in errors
    code, _, errors = await worker(
        "state", "set", str(config), "--pipeline", "other", "--mark", "1", "--yes"
    )
    assert code == 78 and "there are items" in errors


async def test_a_partition_that_is_reset_is_read_again_and_verify_agrees(tmp_path: Path) -> None:
    records = [kit.item(number, second=number) for number in range(30)]
    async with Replica(records, Shape(style="cursor", cap=20, since="since")) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        assert (await worker("run", str(config), "--once"))[0] == 0
        assert (
            await worker(
                "state",
                "reset",
                str(config),
                "--pipeline",
                "items",
                "--partition",
                "default",
                "--yes",
            )
        )[0] == 0
        assert (await worker("verify", str(config)))[0] == 0
        assert (await worker("run", str(config), "--once"))[0] == 0
        assert (await worker("verify", str(config)))[0] == 0
    assert kit.lake_ids(tmp_path) == sorted([*range(30)] * 2)


async def test_an_unknown_partition_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    async with Replica([kit.item(1, second=1)], Shape(style="cursor", since="since")) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        assert (await worker("run", str(config), "--once"))[0] == 0
    for command in (("reset",), ("set", "--mark", "2024-01-01T00:00:00Z")):
        code, out, errors = await worker(
            "state", *command, str(config), "--pipeline", "items", "--partition", "zz"
        )
        assert (code, out) == (78, "")
        assert "no partition 'zz'" in errors and "there are default" in errors


async def test_status_asks_a_running_worker(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with Replica([kit.item(1, second=1)], Shape(style="cursor", since="since")) as replica:
        config = kit.write_config(
            tmp_path, replica.url, source={**SOURCE, "schedule": {"every": "1h"}}
        )
        config.write_text(config.read_text().replace("listen: null", f"listen: 127.0.0.1:{port}"))
        code, _, errors = await worker("status", str(config))
        assert code == 69 and "nobody answers" in errors
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "worker", "run", str(config)
        )
        while (answer := await worker("status", str(config), "--json"))[0] == 69:
            assert process.returncode is None
        assert answer[0] == 0
        assert json.loads(answer[1])["pipelines"]["items"]["state"] == "running"
        assert "items: running" in (await worker("status", str(config)))[1]
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_status_knows_a_worker_from_whatever_else_answers(tmp_path: Path) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
        writer.close()

    async with await asyncio.start_server(other, "127.0.0.1", 0) as server:
        config = kit.write_config(tmp_path, "http://127.0.0.1:1/x", source=SOURCE)
        config.write_text(
            config.read_text().replace(
                "listen: null", f"listen: 127.0.0.1:{server.sockets[0].getsockname()[1]}"
            )
        )
        code, out, errors = await worker("status", str(config), "--json")
    assert (code, out) == (69, "")
    assert "is no worker" in errors


async def test_a_backfill_reads_a_range_once_more_and_never_moves_the_live_mark(
    tmp_path: Path,
) -> None:
    records = [kit.item(number, second=number) for number in range(60)]
    async with Replica(records, Shape(style="cursor", cap=7, since="since")) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        assert (await worker("run", str(config), "--once"))[0] == 0
        marks = ("--from", "2024-01-01T00:00:20Z", "--to", "2024-01-01T00:00:30Z")
        for _ in range(2):  # the second time there is nothing new in the range
            code, _, errors = await worker("run", str(config), *marks)
            assert code == 0, errors
        assert kit.lake_ids(tmp_path) == sorted([*range(60), *range(20, 30)])
        records.extend(kit.item(number, second=number) for number in range(60, 70))
        assert (await worker("run", str(config), "--once"))[0] == 0
        assert (await worker("verify", str(config)))[0] == 0
    assert kit.lake_ids(tmp_path) == sorted([*range(70), *range(20, 30)])
    assert (await worker("run", str(config), "--to", "2024-01-01T00:00:30Z"))[0] == 64
    code, _, errors = await worker(
        "run", str(config), "--from", "2024-01-01T00:00:30Z", "--to", "2024-01-01T00:00:20Z"
    )
    assert code == 78 and "nothing is between" in errors
    assert (await worker("run", str(config), "--from", "soon"))[0] == 78
