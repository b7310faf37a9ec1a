"""The gate at the start: a changed schema is compared with that of the files that were committed,
then new files carry it.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import fastavro
import kit
import pytest
from avro_kit import PAGES, avro_server, container, row

from worker.app import RunResult, run_async
from worker.core.errors import Exit
from worker.settings import load_settings
from worker.testing.replica import Replica, Shape

CURSOR = {
    "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}
}
INCREMENTAL = {**CURSOR, "key": ["id"], "incremental": {"field": "updated_at", "param": "since"}}


def with_field(field: dict[str, Any]) -> dict[str, Any]:
    return {**kit.SCHEMA, "fields": [*kit.SCHEMA["fields"], field]}


def without(name: str) -> dict[str, Any]:
    return {
        **kit.SCHEMA,
        "fields": [field for field in kit.SCHEMA["fields"] if field["name"] != name],
    }


NULLABLE = with_field({"name": "note", "type": ["null", "string"], "default": None})
REQUIRED = with_field({"name": "note", "type": "string"})


async def run(directory: Path, replica: Replica, schema: Any, **more: Any) -> RunResult:
    config = kit.write_config(directory, replica.url, source=INCREMENTAL, **more)
    (directory / "item.avsc").write_text(json.dumps(schema))
    return await run_async(load_settings([config]), once=True)


def schemas(directory: Path) -> list[list[str]]:
    """Field names of each published file, in the order of commits."""
    found = []
    for path in sorted(kit.published(directory), key=lambda path: path.name):
        with path.open("rb") as file:
            found.append([field["name"] for field in fastavro.reader(file).writer_schema["fields"]])  # type: ignore[index,call-overload]
    return found


@pytest.mark.fault(35, by="a field with a default is added")
async def test_a_compatible_change_goes_on_in_new_files_with_the_new_schema(tmp_path: Path) -> None:
    async with Replica(
        [kit.item(number, second=number) for number in range(20)],
        Shape(style="cursor", cap=5, since="since"),
    ) as replica:
        assert (await run(tmp_path, replica, kit.SCHEMA)).exit_code == 0
        replica.records += [
            {**kit.item(number, second=number), "note": "n"} for number in range(20, 40)
        ]
        assert (await run(tmp_path, replica, NULLABLE)).exit_code == 0
    old = [field["name"] for field in kit.SCHEMA["fields"]]
    assert schemas(tmp_path) == [old, [*old, "note"]]
    assert kit.lake_ids(tmp_path) == list(range(40))


@pytest.mark.fault(35, by="fields change their types")
@pytest.mark.parametrize(
    ("level", "schema", "said"),
    [
        (None, REQUIRED, "$.note: the writer has no such field, and the reader's has no default"),
        ("backward", REQUIRED, "the new schema cannot read the committed files: $.note"),
        (
            "forward",
            without("value"),
            "readers with the old schema cannot read the new files: $.value",
        ),
        ("full", without("value"), "$.value"),
        (
            "backward",
            {
                **kit.SCHEMA,
                "fields": [{"name": "id", "type": "string"}, {"name": "x", "type": "int"}],
            },
            "$.id: long cannot be read as string",
        ),
    ],
)
async def test_an_incompatible_change_is_refused_with_every_reason_and_nothing_moves(
    tmp_path: Path, level: str | None, schema: Any, said: str
) -> None:
    more = {} if level is None else {"schema_compatibility": level}
    async with Replica(
        [kit.item(number, second=number) for number in range(20)],
        Shape(style="cursor", cap=5, since="since"),
    ) as replica:
        await run(tmp_path, replica, kit.SCHEMA)
        before, asked = kit.published(tmp_path), len(replica.requests)
        result = await run(tmp_path, replica, schema, **more)
        assert result.exit_code == Exit.DATA
        assert said in result.pipelines[0].error
        if "x" in json.dumps([field["name"] for field in schema["fields"]]):
            assert "$.x: the writer has no such field" in result.pipelines[0].error
        assert len(replica.requests) == asked
        assert kit.published(tmp_path) == before
        assert (
            await run(tmp_path, replica, schema, schema_compatibility="none")
        ).exit_code == Exit.OK


async def test_a_logical_type_that_changes_its_meaning_is_refused_although_the_canonical_form_is_the_same(
    tmp_path: Path,
) -> None:
    micros = json.loads(json.dumps(kit.SCHEMA).replace("timestamp-millis", "timestamp-micros"))
    async with Replica([kit.item(1, second=1)], Shape(style="cursor", since="since")) as replica:
        await run(tmp_path, replica, kit.SCHEMA)
        result = await run(tmp_path, replica, micros)
    assert result.exit_code == Exit.DATA
    assert "timestamp-millis would be taken for timestamp-micros" in result.pipelines[0].error


async def test_only_what_was_committed_counts(tmp_path: Path) -> None:
    """A schema that no file has binds nobody; a transitive level looks at all that have one."""
    renamed = with_field({"name": "note", "type": "int", "default": 0})
    async with Replica(
        [kit.item(number, second=number) for number in range(4)],
        Shape(style="cursor", cap=5, since="since"),
    ) as replica:
        await run(tmp_path, replica, with_field({"name": "note", "type": "string", "default": ""}))
        assert (await run(tmp_path, replica, kit.SCHEMA)).exit_code == 0  # nothing new: no file
        assert (await run(tmp_path, replica, renamed)).exit_code == Exit.DATA
        replica.records += [kit.item(9, second=9)]
        assert (await run(tmp_path, replica, kit.SCHEMA)).exit_code == 0
        assert (
            await run(tmp_path, replica, renamed, schema_compatibility="backward_transitive")
        ).exit_code == Exit.DATA
        assert (await run(tmp_path, replica, renamed)).exit_code == 0


async def test_a_state_that_was_begun_before_schemas_were_kept_goes_on_without_a_gate_once(
    tmp_path: Path,
) -> None:
    async with Replica(
        [kit.item(number, second=number) for number in range(4)],
        Shape(style="cursor", cap=5, since="since"),
    ) as replica:
        await run(tmp_path, replica, kit.SCHEMA)
        with sqlite3.connect(tmp_path / "state" / "state.db") as db:
            db.execute("DELETE FROM schemas")
        db.close()
        replica.records += [{**kit.item(7, second=7), "note": "n"}]
        assert (await run(tmp_path, replica, REQUIRED)).exit_code == 0
        assert (
            await run(tmp_path, replica, kit.SCHEMA, schema_compatibility="forward")
        ).exit_code == Exit.DATA
    assert kit.lake_ids(tmp_path) == [0, 1, 2, 3, 7]


async def test_the_schema_of_the_output_counts_and_not_that_of_the_source(tmp_path: Path) -> None:
    """A writer that changes is resolved; the files keep their schema."""
    wider = with_field({"name": "more", "type": "string"})
    async with avro_server(
        [container(kit.SCHEMA, [row(0)]), container(wider, [row(1, more="x")])]
    ) as url:
        config = kit.write_config(tmp_path, url, source=PAGES, decode={"type": "avro"})
        assert (await run_async(load_settings([config]), once=True)).exit_code == 0
    assert len(set(map(tuple, schemas(tmp_path)))) == 1
