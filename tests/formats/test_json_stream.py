"""Bodies of several JSON values: one behind the other, and what a path finds in each."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import BadBody, RecordsMissing
from worker.core.model import Decoded
from worker.formats.json_split import split_values
from worker.formats.json_stream import JsonStreamPages
from worker.formats.ndjson import NdjsonPages
from worker.formats.records import PageSpec, RecordSpec
from worker.runtime.slices import at_once
from worker.schema import compile_plan, parse_schema

PLAN = compile_plan(parse_schema(json.dumps(kit.SCHEMA)))
ITEMS = [kit.item(number, second=number % 60) for number in range(20)]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
Pages = JsonStreamPages | NdjsonPages


def stream(path: str | None = None, **spec: Any) -> JsonStreamPages:
    return JsonStreamPages(PageSpec(path, **spec), PLAN)


def lines(path: str | None = None, **spec: Any) -> NdjsonPages:
    return NdjsonPages(PageSpec(path, **spec), PLAN)


def decode(body: str | bytes, pages: Pages | None = None) -> Decoded:
    data = body if isinstance(body, bytes) else body.encode()
    return at_once((pages or stream()).decode(data))


def ids(decoded: Decoded) -> list[int]:
    return [getattr(each, each.__struct_fields__[0]) for each in decoded.records]


@given(st.lists(JSON, max_size=8), st.sampled_from(["\n", " ", "\r\n\t", "\x1e"]), st.booleans())
def test_values_are_found_however_they_are_separated(
    values: list[Any], separator: str, spaced: bool
) -> None:
    texts = [json.dumps(each, indent=1 if spaced else None) for each in values]
    body = separator.join(texts).encode()
    places = at_once(split_values(body, 0))
    assert [
        json.loads(body[at:end]) for at, end in zip(places[::2], places[1::2], strict=True)
    ] == values


@given(st.lists(st.dictionaries(st.text(max_size=3), JSON) | st.lists(JSON), max_size=8))
def test_objects_and_arrays_need_nothing_between_them(values: list[Any]) -> None:
    body = "".join(map(json.dumps, values)).encode()
    places = at_once(split_values(body, 0))
    assert [
        json.loads(body[at:end]) for at, end in zip(places[::2], places[1::2], strict=True)
    ] == values


@given(st.binary(max_size=60))
def test_any_bytes_end_in_a_page_or_a_bad_body(data: bytes) -> None:
    for body in (data, b'{"id": 1}' + data, b"\x1e" + data):
        with contextlib.suppress(BadBody):
            decode(body)


@pytest.mark.parametrize("separator", ["", "\n", "\r\n", " ", "\x1e", "\n\x1e"])
def test_records_of_a_stream(separator: str) -> None:
    body = separator + separator.join(map(json.dumps, ITEMS)) + "\n"
    assert ids(decode(body)) == list(range(20))


def test_a_stream_of_many_slices() -> None:
    many = [kit.item(number, second=1) for number in range(7_000)]
    decoded = decode("".join(map(json.dumps, many)))
    assert ids(decoded) == list(range(7_000))
    assert json.loads(decoded.raw(6_543))["id"] == 6_543


@pytest.mark.parametrize("body", ["", " \n", "\ufeff", "\x1e\x1e\n"])
def test_an_empty_body_is_an_empty_page(body: str) -> None:
    assert decode(body).facts.count == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (json.dumps(ITEMS[0]) * 2 + '{"id": 3', "cut"),
        (json.dumps(ITEMS[0]) + '"text', "cut"),
        ("\x1e" + json.dumps(ITEMS[0]) + "\n\x1e{", "cut"),
        (json.dumps(ITEMS[0]) + "," + json.dumps(ITEMS[1]), "no JSON value begins at byte"),
        ("<html></html>", "no JSON value begins at byte 0"),
        ("{x} {y} {}y", "cut"),
    ],
)
def test_what_is_no_stream_is_a_bad_body(body: str, words: str) -> None:
    with pytest.raises(BadBody, match=words):
        decode(body)


def test_a_bad_value_whose_end_is_clear_is_one_reject() -> None:
    good = json.dumps(ITEMS[1])
    for body in (f"{good}{{bad}}{good}", f"\x1e{good}\n\x1e{{bad\n\x1e{good}\n"):
        decoded = decode(body)
        assert ids(decoded) == [1, 1]
        assert [(each.index, each.code) for each in decoded.rejects] == [(1, "no_json")]


@pytest.mark.parametrize("make", [stream, lines])
def test_a_path_leads_to_the_records_of_each_value(make: Any) -> None:
    values = [{"a": {"b": ITEMS[:2]}}, {"a": {"b": []}}, {"a": {"b": ITEMS[2]}}, {"a": {"b": None}}]
    body = "\n".join(map(json.dumps, values))
    decoded = decode(body, make("a.b"))
    assert ids(decoded) == [0, 1, 2]
    assert [json.loads(decoded.raw(place)) for place in range(3)] == ITEMS[:3]


@pytest.mark.parametrize("make", [stream, lines])
@pytest.mark.parametrize("other", [{"state": 1}, {"a": 5}, {"a": None}, 7, [1], "x"])
def test_values_without_the_path_are_no_page_or_pass(make: Any, other: Any) -> None:
    body = json.dumps({"a": {"b": ITEMS[0]}}) + "\n" + json.dumps(other)
    with pytest.raises(RecordsMissing, match=r"a\.b"):
        decode(body, make("a.b"))
    assert ids(decode(body, make("a.b", missing_is_empty=True))) == [0]


def test_a_path_may_be_a_search() -> None:
    body = json.dumps({"a": [{"k": 1, "r": ITEMS[0]}, {"k": 2, "r": ITEMS[1]}]})
    assert ids(decode(body, lines("a[?k==`2`].r"))) == [1]


def test_the_root_may_be_named() -> None:
    assert ids(decode(json.dumps(ITEMS[3]), lines("@"))) == [3]


def test_a_bad_record_within_a_value_costs_itself_only() -> None:
    body = (
        json.dumps({"a": [ITEMS[0], {"id": "x"}, ITEMS[2]]})
        + "\nbroken\n"
        + json.dumps({"a": ITEMS[3]})
    )
    decoded = decode(body, lines("a", record=RecordSpec(identify=True, key_paths=("id",))))
    assert ids(decoded) == [0, 2, 3]
    assert [(each.index, each.code) for each in decoded.rejects] == [(1, "invalid"), (3, "no_json")]
    assert len(decoded.facts.keys) == 5


@pytest.mark.parametrize("quotes", [b'"', b'{"', b"[", b'{"a":'])
def test_no_text_holds_the_loop(quotes: bytes) -> None:
    with pytest.raises(BadBody):
        decode(quotes * 200_001)
