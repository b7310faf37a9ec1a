"""YAML as the config means it: values, lines, anchors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker.config.problems import ConfigProblems
from worker.config.yaml import Document, load_yaml, plain_value


def read(directory: Path, text: str) -> Document:
    (directory / "a.yaml").write_text(text)
    document = load_yaml(directory / "a.yaml")
    assert document.problems == []
    return document


def test_what_looks_like_a_date_stays_text(tmp_path: Path) -> None:
    values = read(tmp_path, "a: 2023-10-15\nb: 2024-01-01T00:00:00Z\n2024-01-01: c\n").values
    assert values == {"a": "2023-10-15", "b": "2024-01-01T00:00:00Z", "2024-01-01": "c"}


def test_yes_no_on_and_off_are_text_and_a_key_may_be_a_number(tmp_path: Path) -> None:
    assert read(tmp_path, "{a: no, b: yes, on: off, c: true, 404: null}").values == {
        "a": "no",
        "b": "yes",
        "on": "off",
        "c": True,
        "404": None,
    }


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("﻿version: 1\r\nname: ä\r\n".encode())
    document = load_yaml(tmp_path / "a.yaml")
    assert document.values == {"version": 1, "name": "ä"} and document.lines[("name",)] == 2


def test_keys_that_begin_with_x_hold_anchors_and_are_ignored(tmp_path: Path) -> None:
    values = read(
        tmp_path, "x-source: &s {retry: {cap: 5s}, x-note: 1}\na: {<<: *s, url: u, x-b: 2}\n"
    ).values
    assert values == {"a": {"retry": {"cap": "5s"}, "url": "u"}}


def test_names_of_others_that_begin_with_x_are_kept(tmp_path: Path) -> None:
    text = "source: {headers: {x-api-version: '2'}, params: {x-p: 1}, body: {a: {x-b: 1}}, x-note: 1}\n"
    assert read(tmp_path, text).values == {
        "source": {
            "headers": {"x-api-version": "2"},
            "params": {"x-p": 1},
            "body": {"a": {"x-b": 1}},
        }
    }


def test_own_keys_win_over_merged_ones_and_earlier_merged_over_later(tmp_path: Path) -> None:
    document = read(
        tmp_path, "x-a: &a {k: 1, m: 1}\nx-b: &b {m: 2, n: 2}\nc:\n  k: 0\n  <<: [*a, *b]\n"
    )
    assert document.values == {"c": {"k": 0, "m": 1, "n": 2}}
    assert document.lines[("c", "k")] == 4 and document.lines[("c", "n")] == 2


def test_the_line_of_a_value_behind_an_alias_is_where_it_is_written(tmp_path: Path) -> None:
    document = read(tmp_path, "x-auth: &auth\n  type: bearer\na:\n  auth: *auth\n")
    assert str(document.place(("a", "auth", "type"))).endswith("a.yaml:2: a.auth.type")
    assert str(document.place(("a", "missing", "key"))).endswith("a.yaml:3: a.missing.key")


def test_numbers_that_are_printed_otherwise_are_remembered_as_written(tmp_path: Path) -> None:
    document = read(tmp_path, "x-a: &a {v: 2.10}\na: {v: 2.5, w: 0x1F, x: 1_0, <<: *a}\nb: *a\n")
    assert document.as_written == {("a", "w"): "0x1F", ("a", "x"): "1_0", ("b", "v"): "2.10"}


def test_all_duplicate_keys_are_found_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\na: 2\nb: {c: 1, c: 2}\n")
    assert [problem.place.key for problem in load_yaml(tmp_path / "a.yaml").problems] == [
        "a",
        "b.c",
    ]


def test_a_file_that_never_ends_is_refused() -> None:
    with pytest.raises(ConfigProblems, match="a device, not a regular file"):
        load_yaml(Path("/dev/zero"))


def test_a_large_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(ConfigProblems, match="larger than 2 MiB"):
        load_yaml(path)


def test_texts_of_variables_are_values() -> None:
    assert [plain_value(text) for text in ("5", "true", "null", "[a, b]", "a: 1", "", "text")] == [
        5,
        True,
        None,
        ["a", "b"],
        {"a": 1},
        None,
        "text",
    ]
    for text in ("[", "!!python/name:os.system", "{a: 1, a: 2}"):
        with pytest.raises(ValueError):
            plain_value(text)
