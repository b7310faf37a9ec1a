"""A key that stands twice on the path of the records is no silent loss, however a page is decoded."""

from __future__ import annotations

import json
import mmap
import tempfile
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import BadBody, RecordsMissing
from worker.formats.json import JsonPages
from worker.formats.records import PageSpec, RecordSpec
from worker.runtime.slices import at_once
from worker.schema import compile_plan, parse_schema

SCHEMA = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "items", "type": {"type": "array", "items": "long"}, "default": []},
    ],
}
PLAN = compile_plan(parse_schema(json.dumps(SCHEMA)))
SPECS = {
    "typed": RecordSpec(),
    "raw": RecordSpec(identify=True),
    "long": RecordSpec(record_bytes=40),
    "untyped": RecordSpec(key_paths=("id || items",)),
}
each_way = pytest.mark.parametrize("way", SPECS)


def decoded(body: Any, way: str, path: str = "items") -> int:
    """How many records a page has."""
    pages = JsonPages(PageSpec(records=path, record=SPECS[way]), PLAN)
    return at_once(pages.decode(body)).facts.count


def array(*ids: int) -> str:
    return json.dumps([{"id": each, "items": [each]} for each in ids])


def filled(body: str) -> bytes:
    """A body with arrays of records in the places of `ONE` and `TWO`."""
    return body.replace("ONE", array(1)).replace("TWO", array(1, 2)).encode()


@each_way
@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("items", '{"items": TWO, "items": ONE}', "items"),
        ("items", '{"items": ONE, "items": ONE}', "items"),
        ("items", '{"items":TWO,"meta":{},"items":ONE}', "items"),
        ("items", '{"items" :\nTWO, "items" :\nONE}', "items"),
        ("items", '{"items": ONE, "items": null}', "items"),
        ("items", '{"items": null, "items": ONE}', "items"),
        ("items", '{"items": ONE, "items": []}', "items"),
        ("items", '{"items": [], "items": []}', "items"),
        ("a.b", '{"a": {"b": TWO, "b": ONE}}', "b"),
        ("a.b", '{"a": {"b": TWO}, "a": {"b": ONE}}', "a"),
        ("a.b", '{"a": {"b": ONE}, "a": {"c": 1}}', "a"),
        ("a.b", '{"a": {"c": 1}, "a": {"b": ONE}}', "a"),
        ("a.b", '{"a": {"b": ONE}, "a": null}', "a"),
        ('"ü"', '{"ü": TWO, "ü": ONE}', "ü"),
        ('"ü"', '{"\\u00fc": TWO, "\\u00fc": ONE}', "ü"),
    ],
)
def test_a_key_of_the_path_that_stands_twice_is_a_bad_body_that_names_it(
    path: str, body: str, key: str, way: str
) -> None:
    with pytest.raises(BadBody, match=f"the key '{key}' stands twice"):
        decoded(filled(body), way, path)


@each_way
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("items", '{"items": TWO, "meta": {"items": [1], "items": 2}}'),
        ("items", '{"meta": {"items": [1]}, "x": "\\"items\\": [", "items": TWO}'),
        ("items", '{"items": TWO, "text": "\\"items\\": [1], \\"items\\": [2]"}'),
        ("items", '{"next": 1, "next": 2, "items": TWO}'),
        ("items", '{"item": [], "items": TWO, "items2": []}'),
        ("items.items", '{"items": {"items": TWO}}'),
        ("a.b", '{"b": [], "a": {"a": [], "b": TWO}, "c": {"b": [], "b": []}}'),
        ('"["', '{"[": TWO}'),
    ],
)
def test_a_key_that_stands_twice_elsewhere_is_not_ours_to_judge(
    path: str, body: str, way: str
) -> None:
    assert decoded(filled(body), way, path) == 2


NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    st.sampled_from(["null", "1", '"a"', '"\\"b\\":["', "[]", '[{"id":1}]', '[{"id":1},{"id":2}]']),
    lambda inner: st.lists(st.tuples(NAMES, inner), max_size=4).map(
        lambda members: "{" + ",".join(f'"{name}":{value}' for name, value in members) + "}"
    ),
    max_leaves=12,
)


def repeated(value: Any, keys: tuple[str, ...]) -> bool:
    """The reference: whether one of the keys stands twice in its object."""
    for key in keys:
        found = [each for name, each in value if name == key] if isinstance(value, tuple) else []
        if len(found) != 1:
            return len(found) > 1
        (value,) = found
    return False


@each_way
@given(VALUES, st.sampled_from(["a", "a.b", "a.a", "b.a.b"]))
def test_nothing_is_taken_from_a_page_in_which_a_key_of_the_path_repeats(
    way: str, body: str, path: str
) -> None:
    keys = tuple(path.split("."))
    expected = repeated(json.loads(body, object_pairs_hook=tuple), keys)
    refused = False
    with suppress(RecordsMissing):
        try:
            decoded(body.encode(), way, path)
        except BadBody as error:
            refused = "stands twice" in error.message
        assert refused == expected


def test_a_page_on_disk_is_judged_too() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(filled('{"items": TWO, "items": ONE}'))
        file.flush()
        body = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        for way in SPECS:
            with pytest.raises(BadBody, match="stands twice"):
                decoded(body, way)
        body.close()


def test_a_long_page_is_judged_without_reading_its_records_again() -> None:
    body = (
        b"{" + b",".join(b'"items":' + array(*range(each)).encode() for each in (80_000, 2)) + b"}"
    )
    assert len(body) > 2 * 1024 * 1024
    with pytest.raises(BadBody, match="stands twice"):
        decoded(body, "typed")


@each_way
@pytest.mark.parametrize("key", ['a"b', "a\\b", "a\nb", "é", "a b", "class", "a.b"])
def test_records_may_be_at_any_key(way: str, key: str) -> None:
    path, name = json.dumps(key), json.dumps(key)
    assert decoded(filled(f"{{{name}: TWO}}"), way, path) == 2
    with pytest.raises(BadBody, match="stands twice"):
        decoded(filled(f"{{{name}: TWO, {name}: ONE}}"), way, path)
    beside = PageSpec(records="items", body_paths=(path,), record=SPECS[way])
    page = filled(f'{{"items": ONE, {name}: 7}}')
    assert at_once(JsonPages(beside, PLAN).decode(page)).facts.body == {path: 7}
