"""Short forms are rewritten into their general form at load; nothing else reads the short ones.

What was written stays known: fingerprints are made of it, and problems name it.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from test_settings import pipeline

import worker
from worker.config.short_forms import WithShortForms
from worker.sources.http_config import HttpConfig
from worker.sources.incremental import Incremental
from worker.sources.pagination.numbered import NumberedConfig
from worker.sources.pagination.window_keys import WindowKeys
from worker.sources.places import Target, TokenTarget

PACKAGE = Path(worker.__file__).parent
SHORT_OF_RESPONSES = {"on_status", "on_body"}
WRITTEN_IN = {
    "sources/http_config.py",
    "sources/incremental.py",
    "sources/pagination/numbered.py",
    "sources/pagination/window_keys.py",
    "sources/rules.py",
}
"""The configs that have the short keys, each beside its component."""
GENERAL_TOO = {"param"}
"""A name that is also a key of the general form `to: {param: NAME}`, and of the format of marks."""

STORED: dict[str, dict[str, str]] = json.loads(
    Path(__file__).with_name("short_form_fingerprints.json").read_text()
)
"""What the version before this rewriting stored of SOURCES: groups, keys and kind of mark."""

RANGE = {"field": "at", "initial": "2024-01-01T00:00:00Z"}
SOURCES: dict[str, dict[str, Any]] = {
    "page": {"pagination": {"type": "page", "param": "p", "size_param": "s", "size": 5}},
    "page in full": {"pagination": {"type": "page", "to": {"param": "p"}}},
    "offset": {
        "pagination": {"type": "offset", "param": "o", "limit_param": "l", "limit": 5},
        "incremental": RANGE | {"param": "since", "overlap": "60s"},
        "on_status": {404: "empty", 500: "page"},
        "on_body": [{"when": {"path": "ok", "equals": False}, "do": "retry"}],
    },
    "offset in full": {
        "method": "POST",
        "pagination": {"type": "offset", "to": {"body": "from.0"}},
        "body": {"from": [0]},
        "incremental": RANGE | {"to": {"param": "since"}},
    },
    "window": {
        "pagination": {
            "type": "window",
            "start_param": "a",
            "end_to": {"param": "b"},
            "size": "1d",
        },
        "incremental": RANGE,
    },
    "within": {
        "pagination": {
            "type": "page",
            "param": "p",
            "within": {"type": "window", "start_param": "a", "end_param": "b", "size": "1d"},
        },
        "incremental": RANGE,
    },
    "token": {
        "pagination": {"type": "cursor", "from": {"body": "next"}, "to": {"param": "c"}},
        "incremental": {"from": {"body": "delta"}, "param": "delta"},
    },
}


def shorts() -> set[str]:
    """The keys that are short for another one."""
    models: tuple[type[WithShortForms], ...] = (NumberedConfig, WindowKeys, Incremental)
    return {each.key for model in models for each in model.shorts} | SHORT_OF_RESPONSES


def names_in(source: str) -> set[str]:
    """Every name, attribute, argument and key of a module; texts for people are none."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        for name in ("id", "attr", "arg", "value"):
            if isinstance(value := getattr(node, name, None), str):
                found.add(value)
    return found


def test_nothing_outside_the_configs_knows_a_short_form() -> None:
    names = shorts() - GENERAL_TOO
    assert names >= {"on_status", "on_body", "start_param", "end_param"}
    knowing = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if names & names_in(path.read_text())
    }
    assert knowing == WRITTEN_IN - {"sources/pagination/numbered.py", "sources/incremental.py"}


def test_no_module_but_its_config_asks_a_source_for_its_short_parameter() -> None:
    owners = ("incremental", "pagination", "style", "config", "keys", "windows")
    asked = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "param"
        if isinstance(node.value, ast.Name | ast.Attribute)
        if getattr(node.value, "attr", getattr(node.value, "id", "")) in owners
    }
    assert not asked


@pytest.mark.parametrize("name", SOURCES)
def test_cursors_that_are_stored_keep_their_meaning(name: str) -> None:
    assert pipeline(**SOURCES[name]).meaning() == STORED[name]


def source(name: str) -> HttpConfig:
    return pipeline(**SOURCES[name]).source


def test_parameters_become_targets() -> None:
    offset, window = source("offset"), source("window").pagination.windows
    assert isinstance(offset.pagination, NumberedConfig)
    assert offset.pagination.to == Target(param="o")
    assert offset.incremental is not None
    assert offset.incremental.to == TokenTarget(param="since")
    assert window is not None
    assert (window.start_to, window.end_to) == (Target(param="a"), Target(param="b"))


def test_statuses_and_bodies_become_responses_that_know_their_keys() -> None:
    found = [(rule.written_as, rule.do) for rule in source("offset").responses]
    assert found == [
        (("on_status", 404), "empty"),
        (("on_body", 0), "retry"),
        (("on_status", 500), "page"),
    ]


def test_what_is_rewritten_once_is_not_rewritten_again() -> None:
    once = source("offset")
    again = HttpConfig.model_validate(once)
    assert [rule.written_as for rule in again.responses] == [
        rule.written_as for rule in once.responses
    ]


def test_the_key_that_was_written_is_known() -> None:
    short, full = source("offset").incremental, source("offset in full").incremental
    assert short is not None and full is not None
    assert (short.written_as("to"), full.written_as("to")) == ("param", "to")
    assert short.ways("to") == ["param"] and full.ways("to") == ["to"]
