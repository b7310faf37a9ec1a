"""May files of a schema follow those that are committed?"""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.core.errors import IncompatibleSchema
from worker.schema import parse_schema
from worker.wiring.compatibility_check import compatibility_check


def schema(*fields: str, **more: Any) -> str:
    """A record of text fields; `more` are fields with a type of their own."""
    types = {name: {"type": "string", "default": ""} for name in fields} | {
        name: {"type": kind} for name, kind in more.items()
    }
    listed = [{"name": name, **kind} for name, kind in types.items()]
    return json.dumps({"type": "record", "name": "Item", "fields": listed})


def check(new: str, level: str, *committed: str) -> None:
    compatibility_check(parse_schema(new), level)(committed)


def test_the_first_files_may_have_any_schema() -> None:
    check(schema("a"), "full_transitive")


def test_the_same_schema_may_always_follow() -> None:
    check(schema("a"), "full_transitive", schema("a"), schema("a"))


def test_without_a_level_anything_may_follow() -> None:
    check(schema(a="int"), "none", schema("a"))


def test_an_old_reader_of_new_files_is_the_business_of_forward_only() -> None:
    narrower, wider = schema(a="int"), schema(a="long")
    check(wider, "backward", narrower)
    with pytest.raises(IncompatibleSchema, match=r"not forward compatible.*old schema cannot read"):
        check(wider, "forward", narrower)


def test_only_the_last_files_count_unless_the_level_is_transitive() -> None:
    first, second, third = schema(a="int"), schema(), schema("a")
    check(third, "backward", first, second)
    with pytest.raises(IncompatibleSchema, match="of 1 versions before") as raised:
        check(third, "backward_transitive", first, second)
    assert raised.value.where == "output_schema" and "worker state reset" in raised.value.remedy
