"""The main job against a hostile server: real HTTP, real SQLite, real files."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import fastavro
import kit
import pytest

from worker.app import RunResult, run_async
from worker.core.errors import ConfigError
from worker.settings import load_settings
from worker.state.lock import lock_state
from worker.testing.replica import Fault, Replica, Seen, Shape
from worker.wiring.evidence import verified
from worker.wiring.logs import open_log

CURSOR = {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}
OFFSET = {"type": "offset", "param": "offset", "limit_param": "limit", "limit": 1000}
PAGE = {"type": "page", "param": "page", "size_param": "limit", "size": 1000}


def items(count: int) -> list[dict[str, Any]]:
    return [kit.item(number, second=number // 3 % 86_400) for number in range(count)]


async def run(config: Path) -> RunResult:
    return await run_async(load_settings([config]), once=True)


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize(
    ("style", "pagination"), [("offset", OFFSET), ("page", PAGE), ("cursor", CURSOR)]
)
async def test_a_server_that_caps_pages_loses_nothing(
    tmp_path: Path, style: Any, pagination: dict[str, Any], concurrency: int
) -> None:
    async with Replica(items(5_000), Shape(style=style, cap=500)) as replica:
        config = kit.write_config(
            tmp_path, replica.url, source={"pagination": pagination, "concurrency": concurrency}
        )
        result = await run(config)
    assert result.exit_code == 0
    assert kit.lake_ids(tmp_path) == list(range(5_000))


async def test_what_came_before_a_failing_page_is_committed(tmp_path: Path) -> None:
    async with Replica(items(100), Shape(style="cursor", cap=10, fail_pages={7: 500})) as replica:
        config = kit.write_config(tmp_path, replica.url, source={"pagination": CURSOR})
        result = await run(config)
        assert result.exit_code == 69
        assert kit.lake_ids(tmp_path) == list(range(60))
        replica.shape = Shape(style="cursor", cap=10)
        assert (await run(config)).exit_code == 0
    assert kit.lake_ids(tmp_path) == list(range(100))


@pytest.mark.fault(30, by="tokens A, B, A, B")
@pytest.mark.parametrize("tokens", [("A",), ("A", "B")])
async def test_a_cycle_of_tokens_stops_as_a_pagination_loop(
    tmp_path: Path, tokens: tuple[str, ...]
) -> None:
    async with Replica(items(100), Shape(style="cursor", cap=10, tokens=tokens)) as replica:
        result = await run(kit.write_config(tmp_path, replica.url, source={"pagination": CURSOR}))
    assert result.exit_code == 1
    assert "came before in this pass" in result.pipelines[0].error


@pytest.mark.fault(23, by="cut gzip, cut bodies, resets, HTML and 5xx of a replica")
@pytest.mark.parametrize("kind", ["truncated_gzip", "truncated_length", "reset", "html"])
async def test_a_broken_answer_is_retried_and_never_half_committed(
    tmp_path: Path, kind: Any
) -> None:
    def script(number: int, seen: Seen) -> Fault | None:
        return Fault(kind) if number % 2 else None

    async with Replica(items(200), Shape(style="cursor", cap=20), script) as replica:
        result = await run(
            kit.write_config(
                tmp_path,
                replica.url,
                source={"pagination": CURSOR, "breaker": {"failure_rate": 1.0}},
            )
        )
    assert result.exit_code == 0, result
    assert kit.lake_ids(tmp_path) == list(range(200))


async def test_an_error_object_with_status_200_is_not_the_end(tmp_path: Path) -> None:
    def script(number: int, seen: Seen) -> Fault | None:
        return Fault("error_object") if number == 3 else None

    async with Replica(items(100), Shape(style="cursor", cap=20), script) as replica:
        result = await run(kit.write_config(tmp_path, replica.url, source={"pagination": CURSOR}))
    assert result.exit_code == 65
    assert "holds no array of records" in result.pipelines[0].error


async def test_a_second_run_fetches_nothing_and_says_why(tmp_path: Path) -> None:
    async with Replica(items(50), Shape(style="cursor", cap=20)) as replica:
        config = kit.write_config(tmp_path, replica.url, source={"pagination": CURSOR})
        await run(config)
        before, asked = kit.published(tmp_path), len(replica.requests)
        result = await run(config)
        assert len(replica.requests) == asked
    assert kit.published(tmp_path) == before
    assert "state reset" in result.pipelines[0].note


@pytest.mark.fault(6, by="state.db is deleted")
async def test_a_deleted_state_is_refused_and_files_stay(tmp_path: Path) -> None:
    async with Replica(items(50), Shape(style="cursor", cap=20)) as replica:
        config = kit.write_config(
            tmp_path,
            replica.url,
            source={"pagination": CURSOR},
            dead_letters={"path": str(tmp_path / "dead")},
        )
        await run(config)
        before = {path: path.read_bytes() for path in kit.published(tmp_path)}
        for path in (tmp_path / "state").glob("state.db*"):
            path.unlink()
        result = await run(config)
    assert result.exit_code == 78
    assert "state reset" in result.pipelines[0].error
    assert {path: path.read_bytes() for path in kit.published(tmp_path)} == before


@pytest.mark.fault(15, by="another owner claims the pipeline")
async def test_a_pipeline_claimed_from_outside_is_over(tmp_path: Path) -> None:
    """The claim comes while pages are being read; the commit that was in the making publishes
    nothing.
    """
    claimed: list[int] = []

    def script(number: int, seen: Seen) -> Fault | None:
        if number == 8 and not claimed:
            with sqlite3.connect(tmp_path / "state" / "state.db") as other:
                claimed.append(other.execute("UPDATE chains SET epoch = epoch + 1").rowcount)
            other.close()
        return None

    source = {
        "pagination": CURSOR,
        "params": {"tenant": "{partition.tenant}"},
        "partitions": {"tenant": list(kit.TENANTS)},
    }
    async with Replica(
        items(90), Shape(style="cursor", cap=5, filters=("tenant",)), script
    ) as replica:
        config = kit.write_config(tmp_path, replica.url, source=source)
        result = await run(config)
        assert claimed == [1]
        assert result.exit_code == 75
        assert kit.lake_ids(tmp_path) == [], "nothing of the commit in the making"
        assert (await run(config)).exit_code == 0
    assert kit.lake_ids(tmp_path) == list(range(90))


@pytest.mark.fault(38, by="keys of the source are edited between two runs")
async def test_changed_meaning_of_the_cursor_is_refused(tmp_path: Path) -> None:
    async with Replica(items(5), Shape(style="cursor")) as replica:
        await run(kit.write_config(tmp_path, replica.url, source={"pagination": CURSOR}))
        result = await run(
            kit.write_config(
                tmp_path, replica.url, source={"pagination": CURSOR, "params": {"x": 1}}
            )
        )
    assert result.exit_code == 78
    assert "source.params.x changed" in result.pipelines[0].error


@pytest.mark.fault(14, by="a lock that another process holds")
async def test_a_second_instance_is_refused(tmp_path: Path) -> None:
    config = kit.write_config(tmp_path, "http://127.0.0.1:9/v1")
    with lock_state(tmp_path / "state"), pytest.raises(Exception, match="held by another instance"):
        await run(config)


@pytest.mark.parametrize("codec", ["null", "deflate", "zstandard"])
async def test_published_files_open_in_fastavro_with_schema_and_codec(
    tmp_path: Path, codec: str
) -> None:
    async with Replica(items(50), Shape(style="cursor", cap=20)) as replica:
        await run(
            kit.write_config(
                tmp_path,
                replica.url,
                source={"pagination": CURSOR},
                sink={"codec": codec, "partition_by": "region={region}"},
            )
        )
    for path in kit.published(tmp_path):
        with path.open("rb") as file:
            reader = fastavro.reader(file)
            assert reader.metadata["avro.codec"] == codec
            assert fastavro.parse_schema(reader.writer_schema) == fastavro.parse_schema(kit.SCHEMA)  # type: ignore[arg-type]
            assert all(f"region={record['region']}" == path.parent.name for record in reader)  # type: ignore[index,call-overload]


async def test_verify_names_a_removed_record_and_a_changed_row(tmp_path: Path) -> None:
    async with Replica(items(50), Shape(style="cursor", cap=20)) as replica:
        config = kit.write_config(
            tmp_path, replica.url, source={"pagination": CURSOR}, sink={"codec": "null"}
        )
        await run(config)
    settings = load_settings([config])

    def findings() -> list[str]:
        log = open_log(settings, read_only=True)
        try:
            return list(map(str, verified(settings, log, "items").findings))
        finally:
            log.close()

    assert findings() == []
    [path] = kit.published(tmp_path)
    original = path.read_bytes()
    with path.open("rb") as file:
        records = list(fastavro.reader(file))[:-1]
    with path.open("wb") as file:
        fastavro.writer(file, kit.SCHEMA, records)  # type: ignore[arg-type]
    [found] = findings()
    assert path.name in found and "49 rows, 50 were committed" in found
    path.write_bytes(original)
    with sqlite3.connect(tmp_path / "state" / "state.db") as db:
        db.execute("""UPDATE commits SET ledger = replace(ledger, '50', '51') WHERE seq = 1""")
    db.close()
    assert any("commit 1" in each and "changed after it was written" in each for each in findings())


@pytest.mark.fault(32, by="every eleventh record breaks the schema")
async def test_rejects_are_dead_letters_of_the_same_commit(tmp_path: Path) -> None:
    records = [kit.item(number, second=number, bad=number % 10 == 3) for number in range(100)]
    async with Replica(records, Shape(style="cursor", cap=20)) as replica:
        result = await run(kit.write_config(tmp_path, replica.url, source={"pagination": CURSOR}))
    assert result.pipelines[0].rejects == 10
    assert kit.dead_ids(tmp_path) == list(range(3, 100, 10))
    assert kit.lake_ids(tmp_path) == [number for number in range(100) if number % 10 != 3]


async def test_a_missing_secret_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    auth = {"type": "bearer", "token": {"env": "NO_SUCH_SECRET"}}
    with pytest.raises(ConfigError, match="NO_SUCH_SECRET"):
        await run(kit.write_config(tmp_path, "http://127.0.0.1:9/v1", source={"auth": auth}))


async def test_incremental_runs_bring_what_is_new_once(tmp_path: Path) -> None:
    records = items(60)
    source = {
        "pagination": CURSOR,
        "key": ["id"],
        "incremental": {"field": "updated_at", "param": "since"},
    }
    async with Replica(records[:40], Shape(style="cursor", cap=7, since="since")) as replica:
        config = kit.write_config(tmp_path, replica.url, source=source)
        await run(config)
        replica.records = records
        result = await run(config)
        assert result.pipelines[0].records == 20
        assert result.pipelines[0].deduplicated > 0
        assert (await run(config)).pipelines[0].records == 0
    assert kit.lake_ids(tmp_path) == list(range(60))
