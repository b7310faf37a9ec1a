"""A key that is nearly a field is refused, and `check` warns of what it cannot know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.config.problems import near_miss
from worker.core.collect import ConfigErrors
from worker.core.errors import ConfigError
from worker.settings import PipelineSettings, Settings
from worker.wiring.describe import describe
from worker.wiring.parts import Parts

SCHEMA = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "updated_at", "type": "string"},
        {"name": "dist", "type": "string", "json_name": "dist-tag"},
        {
            "name": "meta",
            "type": [
                "null",
                {"type": "record", "name": "M", "fields": [{"name": "uuid", "type": "string"}]},
            ],
        },
        {"name": "labels", "type": {"type": "map", "values": "string"}},
    ],
}


def config(directory: Path, **source: Any) -> PipelineSettings:
    (directory / "a.avsc").write_text(json.dumps(SCHEMA))
    return PipelineSettings.model_validate(
        {
            "source": {"url": "https://h/a", **source},
            "schema": str(directory / "a.avsc"),
            "sink": {"path": "x"},
        }
    )


def warnings(directory: Path, **source: Any) -> list[str]:
    [promise] = describe(Settings(version=1, pipelines={"items": config(directory, **source)}))
    found: list[str] = promise["warnings"]
    return found


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ({"each": "rows", "keep": {"updatedAt": "at"}}, "keep.updatedAt"),
        ({"map_key": "Id"}, "map_key"),
        ({"names": ["id", "dist_tag"]}, "names.1"),
        ({"zip": ["ID", "labels"]}, "zip.0"),
        ({"envelope": {"lables": "x"}}, "envelope.lables"),
    ],
)
def test_so_is_a_field_that_records_get(said: dict[str, Any], where: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Parts.of("items", config(tmp_path, records=said))
    assert caught.value.where == f"source.records.{where}" and "did you mean" in str(caught.value)


def test_a_field_that_records_get_and_the_schema_lacks_is_warned_of(tmp_path: Path) -> None:
    said = {"each": "rows", "keep": {"zone": "z", "id": "id"}, "envelope": {"seen": "at"}}
    found = [each.partition(":")[0] for each in warnings(tmp_path, records=said)]
    assert found == ["source.records.keep.zone", "source.records.envelope.seen"]
    assert warnings(tmp_path, records={"names": ["id", "unused"]}) == []


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("Id", "id"),
        ("ID", "id"),
        ("updatedAt", "updated_at"),
        ('"updated-at"', "updated_at"),
        ("updated_t", "updated_at"),
        ("udpated_at", "updated_at"),
        ("updated_att", "updated_at"),
        ("dist_tag", "dist-tag"),
        ("meta.UUID", "uuid"),
        ("meta.uuld", "uuid"),
    ],
)
def test_a_key_that_is_nearly_a_field_is_refused_at_its_place(
    path: str, near: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        Parts.of("items", config(tmp_path, key=["id", path]))
    assert caught.value.where == "source.key[1]" and f"did you mean {near!r}" in str(caught.value)


def test_so_is_an_incremental_field(tmp_path: Path) -> None:
    source = {"key": ["Id"], "incremental": {"field": "updatedAt", "param": "since"}}
    with pytest.raises(ConfigErrors) as caught:
        Parts.of("items", config(tmp_path, **source))
    assert [each.where for each in caught.value.errors] == [
        "source.key[0]",
        "source.incremental.field",
    ]


@pytest.mark.parametrize("path", ["id", "meta.uuid", "labels.Anything", '"dist-tag"', "length(x)"])
def test_a_key_that_is_a_field_is_fine(path: str, tmp_path: Path) -> None:
    assert warnings(tmp_path, key=[path]) == []


@pytest.mark.parametrize("path", ["guid", "_id", "meta.number", "updated_at2"])
def test_a_key_that_the_schema_lacks_is_warned_of(path: str, tmp_path: Path) -> None:
    [warning] = warnings(tmp_path, key=[path])
    assert warning.startswith("source.key[0]") and "known by their bytes" in warning


def test_an_incremental_field_that_the_schema_lacks_is_nothing_to_say_of(tmp_path: Path) -> None:
    assert warnings(tmp_path, incremental={"field": "t", "param": "since"}) == []


@pytest.mark.parametrize(
    ("incremental", "key"),
    [
        ({"from": {"body": "next"}, "param": "c"}, "from"),
        ({"field": "id", "param": "s", "format": {"record": "string"}}, "format.record"),
        ({"field": "id", "param": "s", "format": {"param": "%H:%M"}}, "format.param"),
    ],
)
def test_check_says_where_no_record_can_be_compared_with_the_bound(
    incremental: dict[str, Any], key: str, tmp_path: Path
) -> None:
    [warning] = warnings(tmp_path, incremental=incremental)
    assert warning.startswith(f"source.incremental.{key}: ") and "not noticed" in warning


@pytest.mark.parametrize(
    "form", [{}, {"record": "int"}, {"record": "epoch_ms"}, {"param": "%Y-%m-%d"}]
)
def test_instants_and_numbers_are_compared(form: dict[str, str], tmp_path: Path) -> None:
    assert warnings(tmp_path, incremental={"field": "id", "param": "s", "format": form}) == []


def test_a_value_with_a_slash_in_a_path_is_warned_of(tmp_path: Path) -> None:
    source = {"partitions": {"repo": ["a/b", "c"]}}
    [warning] = warnings(tmp_path, url="https://h/{partition.repo}/x", **source)
    assert "'a/b'" in warning and "{partition.repo:path}" in warning
    assert warnings(tmp_path, url="https://h/{partition.repo:path}/x", **source) == []
    assert warnings(tmp_path, url="https://h/x?r={partition.repo}", **source) == []


NAMES = st.text("abcdefgh_", min_size=4, max_size=8)


@given(NAMES)
def test_no_name_is_a_near_miss_of_nothing(name: str) -> None:
    assert near_miss(name, []) == "" and near_miss(name, [name]) == name


@given(NAMES, NAMES)
def test_a_near_miss_goes_both_ways(one: str, other: str) -> None:
    assert bool(near_miss(one, [other])) == bool(near_miss(other, [one]))


@given(NAMES, st.data())
def test_two_letters_exchanged_are_a_slip(name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(name) - 2))
    slip = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    assert near_miss(slip, [name]) == name
