"""Schemas that are proposed for the first records of public data sets take all later ones.

Where the data is from, and under which licences, is in samples/README.md.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kit
import pytest
from click.testing import CliRunner

from worker.app import run_async
from worker.cli import cli
from worker.core.ports import InvalidRecord
from worker.schema import compile_plan, parse_schema
from worker.schema.infer import Inference
from worker.settings import load_settings
from worker.testing.replica import Replica, Shape

DATA = Path(__file__).parent / "samples"
SEEN = {
    "earthquakes": 200,
    "caniuse": 20,
    "compat": 300,
    "browsers": 5,
    "search_parameters": 60,
    "packages": 6,
}
"""Sample -> how many of its records the schema is proposed for."""
MOST_FIELDS = 30
"""No record of the samples has more keys that are names."""


def sample(name: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.ndjson.gz", "rt") as file:
        return [json.loads(line) for line in file]


def types_in(node: Any) -> Iterator[dict[str, Any]]:
    """Every type of a proposed schema that is more than a name."""
    if isinstance(node, dict):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from types_in(each)


def proposed(records: list[dict[str, Any]]) -> dict[str, Any]:
    inference = Inference()
    for each in records:
        inference.observe(each)
    return inference.proposal()


def assert_has_only_names(document: Any) -> None:
    kinds = [each for each in types_in(document) if "type" in each]
    assert not [each for each in kinds if each["type"] == "enum"]
    records = {each["name"]: len(each["fields"]) for each in kinds if each["type"] == "record"}
    assert max(records.values()) <= MOST_FIELDS, records


def test_every_sample_is_there_and_used() -> None:
    assert {path.name.partition(".")[0] for path in DATA.glob("*.gz")} == set(SEEN)
    listed = (DATA / "README.md").read_text()
    assert all(f"| `{name}` |" in listed for name in SEEN)


@pytest.mark.parametrize("name", SEEN)
def test_every_later_record_of_a_source_is_accepted(name: str) -> None:
    records = sample(name)
    document = proposed(records[: SEEN[name]])
    assert_has_only_names(document)
    plan = compile_plan(parse_schema(json.dumps(document)), unknown_fields="reject")
    rejected = {}
    for number, each in enumerate(records):
        try:
            plan.encode([plan.one(json.dumps(each).encode())])
        except InvalidRecord as error:
            rejected[number] = error.errors
    assert not rejected
    assert len(records) >= 1.5 * SEEN[name], "most of the sample is later than what was seen"


@pytest.mark.parametrize(
    ("name", "key"), [("caniuse", "title"), ("browsers", "id"), ("compat", "path")]
)
def test_a_whole_data_set_that_is_one_object_has_no_field_for_each_entry(
    name: str, key: str
) -> None:
    records = sample(name)
    whole = {"updated": 1, "data": {each[key]: each for each in records}}
    document = proposed([whole])
    data = next(each for each in document["fields"] if each["name"] == "data")
    assert data["type"]["type"] == "map"
    assert_has_only_names(document)


@pytest.mark.parametrize("name", SEEN)
async def test_over_http_every_later_record_lands_with_unknown_fields_rejected(
    name: str, tmp_path: Path
) -> None:
    records = [{**each, "seq": number} for number, each in enumerate(sample(name))]
    pagination = {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}
    async with Replica(records, Shape(style="cursor", cap=SEEN[name])) as replica:
        config = kit.write_config(
            tmp_path,
            replica.url,
            source={"pagination": pagination},
            validation={"unknown_fields": "reject"},
        )
        (tmp_path / "item.avsc").unlink()
        arguments = ["schema", "infer", str(config), "items", "--pages", "1", "--output"]
        made = await asyncio.to_thread(
            CliRunner().invoke, cli, [*arguments, str(tmp_path / "item.avsc")]
        )
        assert made.exit_code == 0, made.output
        result = await run_async(load_settings([config]), once=True)
    assert result.exit_code == 0, result
    assert (result.pipelines[0].records, result.pipelines[0].rejects) == (len(records), 0)
