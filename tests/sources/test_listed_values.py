"""Values of partitions in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.core.errors import ConfigError
from worker.sources.listed_values import values_in


def read(tmp_path: Path, name: str, text: str | bytes, field: str = "id", *carry: str) -> list[str]:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return ["/".join((each.value, *each.carried)) for each in values_in(path, field, carry)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "id,n\nx,1\ny,2\n"),
        ("a.csv", "\ufeffid,n\r\nx,1\r\n\r\ny,2"),
        ("a.CSV", 'n,id\n1,"x"\n2,y\n'),
        ("a.json", '[{"id": "x", "n": 1}, {"id": "y", "n": 2}]'),
        ("a.ndjson", '{"id": "x", "n": 1}\n\n{"id": "y", "n": 2}\n'),
        ("a.jsonl", '{"id": "x", "n": "1"}\n{"id": "y", "n": "2"}'),
    ],
)
def test_a_column_has_the_values_and_others_go_with_them(
    tmp_path: Path, name: str, text: str
) -> None:
    assert read(tmp_path, name, text, "id", "n") == ["x/1", "y/2"]


def test_each_value_counts_once_and_an_empty_one_names_nobody(tmp_path: Path) -> None:
    assert read(tmp_path, "a.csv", "id\nx\n\ny\nx\n") == ["x", "y"]
    assert read(tmp_path, "a.json", '[{"id": null}, {"id": ""}, {"id": 7}, {"id": true}]') == [
        "7",
        "true",
    ]


def test_any_other_file_has_a_value_a_line(tmp_path: Path) -> None:
    assert read(tmp_path, "cities", " x \n\ny,1\n", "") == ["x", "y,1"]


def test_a_value_may_stand_within_an_object(tmp_path: Path) -> None:
    assert read(tmp_path, "a.json", '[{"a": {"b": "x"}}]', "a.b") == ["x"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "other\nx\n"),
        ("a.csv", 'id\n"x\n'),
        ("a.json", '{"id": "x"}'),
        ("a.json", "[1]"),
        ("a.json", '[{"id": 1.5}]'),
        ("a.json", '[{"id": ["x"]}]'),
        ("a.ndjson", '{"id": "x"}\nno json\n'),
        ("a.csv", b"id\n\xff\n"),
    ],
)
def test_a_file_that_says_something_else_is_a_config_error(
    tmp_path: Path, name: str, text: str | bytes
) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: "):
        read(tmp_path, name, text)


def test_a_file_that_is_not_there_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        list(values_in(tmp_path / "none.csv", "id", ()))
