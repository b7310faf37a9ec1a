"""Bodies of several JSON values whose records are of a shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.core.errors import BadBody, RecordsMissing
from worker.core.model import Decoded
from worker.formats.json_stream import JsonStreamPages
from worker.formats.ndjson import NdjsonPages
from worker.formats.records import PageSpec
from worker.formats.shape import Shape
from worker.runtime.slices import at_once
from worker.schema import compile_plan, parse_schema

FIELDS = [{"name": name, "type": ["null", "long"], "default": None} for name in ("id", "v")]
PLAN = compile_plan(parse_schema(json.dumps({"type": "record", "name": "R", "fields": FIELDS})))


def read(spec: PageSpec, *values: Any) -> Decoded:
    """The lines of values; bytes stand as they are."""
    lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in values]
    return at_once(NdjsonPages(spec, PLAN).decode(b"\n".join(lines)))


def rows(decoded: Decoded) -> list[tuple[Any, Any]]:
    return [(record.f0, record.f1) for record in decoded.records]


def places(decoded: Decoded) -> list[str]:
    return [decoded.place(at) for at in range(decoded.facts.count)]


EACH = PageSpec(shape=Shape(each="rows", keep={"id": "id"}))


def test_each_line_is_an_item() -> None:
    decoded = read(
        EACH,
        {"id": 1, "rows": [{"v": 1}, {"v": 2}]},
        {"id": 2, "rows": []},
        {"id": 3, "rows": [{"v": 3}]},
    )
    assert rows(decoded) == [(1, 1), (1, 2), (3, 3)]
    assert places(decoded) == ["$[0].rows[0]", "$[0].rows[1]", "$[2].rows[0]"]
    assert decoded.facts.item_ends == [2, 2, 3] and decoded.facts.listed == 3


def test_a_line_that_is_no_json_costs_itself_only() -> None:
    decoded = read(EACH, {"id": 1, "rows": [{"v": 1}]}, b"{oops", {"id": 2, "rows": [{"v": 2}]})
    assert rows(decoded) == [(1, 1), (2, 2)]
    assert [(each.index, each.code) for each in decoded.rejects] == [(1, "no_json")]
    assert places(decoded) == ["$[0].rows[0]", "", "$[2].rows[0]"]
    assert decoded.facts.item_ends == [1, 2, 3]


def test_lines_of_several_slices_are_numbered_through() -> None:
    pad = "x" * 600_000
    decoded = read(
        EACH, *({"id": number, "pad": pad, "rows": [{"v": number}]} for number in range(5))
    )
    assert rows(decoded) == [(number, number) for number in range(5)]
    assert places(decoded) == [f"$[{number}].rows[0]" for number in range(5)]


def test_with_a_path_each_line_is_a_page() -> None:
    spec = PageSpec("r.rows", shape=Shape(names=("v",), envelope={"id": "r.id"}))
    decoded = read(spec, {"r": {"id": 1, "rows": [[1], [2]]}}, {"r": {"id": 2, "rows": [[3]]}})
    assert rows(decoded) == [(1, 1), (1, 2), (2, 3)]
    assert places(decoded) == ["$[0].r.rows[0]", "$[0].r.rows[1]", "$[1].r.rows[0]"]
    assert decoded.facts.item_ends is None
    with pytest.raises(RecordsMissing):
        read(spec, {"x": 1})


def test_a_line_that_is_an_array_is_one_record() -> None:
    assert rows(read(PageSpec(shape=Shape(names=("id", "v"))), [1, 2], [3])) == [(1, 2), (3, None)]


def test_the_next_body_begins_anew() -> None:
    pages = NdjsonPages(EACH, PLAN)
    for _ in range(2):
        decoded = at_once(pages.decode(b'{"id": 1, "rows": [{"v": 1}]}'))
        assert places(decoded) == ["$[0].rows[0]"]
        with pytest.raises(BadBody):
            at_once(pages.decode(b'{"id": 1, "rows": [{"v": 1}]}\n{"id": '))


def test_a_body_that_failed_leaves_nothing_to_the_next() -> None:
    pages = NdjsonPages(PageSpec(shape=Shape(zip=("id", "v"))), PLAN)
    with pytest.raises(BadBody):
        at_once(pages.decode(b'{"id": [1], "v": [2]}\n{"id": [1], "v": []}'))
    decoded = at_once(pages.decode(b'{"id": [1], "v": [2]}'))
    assert rows(decoded) == [(1, 2)] and places(decoded) == ["$[0][0]"]
    assert decoded.facts.item_ends == [1]


def test_values_behind_each_other_are_items_too() -> None:
    body = b'{"id": 1, "rows": [{"v": 1}]} {"id": 2, "rows": [{"v": 2}]}'
    assert rows(at_once(JsonStreamPages(EACH, PLAN).decode(body))) == [(1, 1), (2, 2)]
