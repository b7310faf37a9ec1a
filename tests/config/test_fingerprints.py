"""Fingerprints are stored beside cursors: what the models become must not change them, or every
pipeline refuses to start. Versions up to 0.1 stored the groups only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_settings import DESIGN, PAGINATIONS, parsed, pipeline

from worker.core.meaning import groups
from worker.settings import load_settings

STORED: dict[str, dict[str, str]] = json.loads(
    Path(__file__).with_name("fingerprints.json").read_text()
)
"""Of version 0.1: all of a config without keys, and of others those that differ from it."""

WINDOW = {
    "type": "window",
    "start_param": "a",
    "end_to": {"body": "x.y"},
    "size": "7d",
    "split_on": {"status": 400, "when": {"path": "a", "equals": 1}},
    "step": "1d",
}
RANGE = {"field": "at", "initial": "2024-01-01T00:00:00Z"}
SOURCES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "window": {"method": "POST", "pagination": WINDOW, "incremental": RANGE},
    "within": {
        "method": "POST",
        "pagination": {
            "type": "offset",
            "param": "o",
            "limit_param": "l",
            "limit": 5,
            "total": {"header": "X-T"},
            "within": WINDOW,
        },
        "incremental": RANGE,
    },
    "tokens": {
        "incremental": {"from": {"header": "X-D"}, "to": {"header": "X-D"}},
        "pagination": {"type": "next_url", "path": "n"},
    },
    "to body": {
        "method": "POST",
        "incremental": {
            "field": "at",
            "to": {"body": "a.b"},
            "format": {"record": "epoch_s"},
        },
    },
}
WITH_A_BODY = ("window", "within")
"""They were stored with the method GET, which is allowed no more: a GET has no body to write to."""


def stored(name: str) -> dict[str, str]:
    return STORED["defaults"] | STORED[name]


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_means_what_it_meant(name: str) -> None:
    method = {"method": STORED["to body"]["method"]} if name in WITH_A_BODY else {}
    assert groups(pipeline(**SOURCES[name]).meaning()) == stored(name) | method


def test_paginations_mean_what_they_meant(tmp_path: Path) -> None:
    for number, each in enumerate(parsed(PAGINATIONS, tmp_path)):
        post = "body" in each.get("to", {})
        method = {"method": "POST"} if post else {}
        found = groups(pipeline(pagination=each, **method).meaning())
        sent = {"method": STORED["to body"]["method"]} if post else {}
        assert found == stored(f"pagination {number}") | sent, each


def test_the_whole_language_means_what_it_meant(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(DESIGN)
    for name, each in load_settings([tmp_path / "a.yaml"]).pipelines.items():
        assert groups(each.meaning()) == stored(name)


def test_a_parameter_with_one_value_in_a_list_means_the_value_alone() -> None:
    alone, listed = (pipeline(params={"tag": tag}).meaning() for tag in ("a", ["a"]))
    assert alone == listed
    several = pipeline(params={"tag": ["a", "b"]}).meaning()
    assert {name for name in several if several[name] != alone[name]} == {"params", "params.tag"}
