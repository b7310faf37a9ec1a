"""Objects whose keys are data become maps, and those whose keys are names stay records."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.schema import compile_plan, parse_schema
from worker.schema.infer import Inference
from worker.schema.map_keys import ALIKE_KEYS, MAP_KEYS, TABLE_ROWS, WIDE_KEYS


def proposed(objects: list[dict[str, Any]]) -> Any:
    """The type that is proposed for a field with these objects."""
    inference = Inference()
    for each in objects:
        inference.observe({"x": each})
    document = inference.proposal()
    plan = compile_plan(parse_schema(json.dumps(document)), unknown_fields="reject")
    for each in objects:
        plan.one(json.dumps({"x": each}).encode())
    return document["fields"][0]["type"]


def kind(objects: list[dict[str, Any]]) -> str:
    return str(proposed(objects)["type"])


NEVER_NAMES = [
    ["1", "2", "10"],
    ["0"],
    ["-1", "0", "+1"],
    ["1.5", "2,5", "0.0.1"],
    ["2024-05-06", "2024-05-07"],
    ["2024-05", "2024/06", "2024-Q3", "2024W07"],
    ["2024-05-06T07:08:09Z", "2024-05-06 07:08:09+02:00"],
    ["09:00", "09:15:30"],
    ["1.0.0", "2.0.0-beta.1", "v3.1", "4.x", "1.2.3+build.5"],
    ["4.2-4.3", "5-10", "TP", "15.1"],
    ["b8a7f5f0-6d3c-4c9b-9a0e-0d7a2a8f4a11"],
]
IDS = [
    ["Q42", "Q64", "Q1", "Q100", "Q9999"],
    ["tt0111161", "tt0068646", "tt0071562", "tt0468569", "tt0050083"],
    ["user_12", "user_13", "user_145", "user_20", "user_21"],
    ["d41d8cd98f", "e2fc714c47", "9e107d9d37", "ab56b4d92b", "5f4dcc3b5a"],
    ["cus_NffrFeUfNV2Hib", "cus_4QFJOjw2pOmAGJ", "cus_9s6XKzkNRiz8i3", "cus_9s6XI9OFIdpjIg", "x"],
    ["a@x.example", "b@x.example", "c@y.example", "d@y.example", "e@z.example"],
    [".", "./package.json", "./lib/*", "/usr/bin", "https://x.example/"],
]
NAMES = [
    ["md5", "sha256", "sha512", "crc32"],
    ["1. open", "2. high", "3. low", "4. close", "5. volume"],
    ["address1", "address2", "city", "zip", "line_1", "line_2"],
    ["@type", "@id", "dc:title", "og:image", "xlink:href"],
    ["pm10", "pm25", "no2", "o3", "co", "name", "unit"],
    ["billing_address_line_1", "billing_address_line_2", "shipping_address_line_1"],
    ["id", "name", "created", "2fa", "3d"],
    ["utf8", "base64", "h264", "iso", "format"],
]


@pytest.mark.parametrize("keys", [*NEVER_NAMES, *IDS], ids=lambda keys: keys[0])
@pytest.mark.parametrize(
    "value", [1, "text", {"a": 1, "b": "x"}, [1]], ids=lambda value: type(value).__name__
)
def test_keys_that_look_like_data_make_a_map(keys: list[str], value: Any) -> None:
    assert kind([dict.fromkeys(keys, value)]) == "map"
    assert kind([{key: value} for key in keys]) == "map"


@pytest.mark.parametrize("keys", NAMES, ids=lambda keys: keys[0])
def test_keys_that_are_names_make_a_record(keys: list[str]) -> None:
    values = [1, "text", True, {"a": 1}]
    whole = {key: values[number % 4] for number, key in enumerate(keys)}
    assert kind([whole]) == "record"
    assert kind([whole] * 20) == "record"


@pytest.mark.parametrize("value", [1, "text", {"href": "x"}])
def test_hundreds_of_keys_make_a_map_also_where_every_object_has_them(value: Any) -> None:
    whole = {f"key {'abcdefghij'[number % 10]}{number}": value for number in range(WIDE_KEYS)}
    assert kind([whole]) == "map"
    assert kind([whole] * 3) == "map"


def test_a_wide_table_stays_a_record() -> None:
    row = {f"column {chr(97 + number // 26)}{chr(97 + number % 26)}": 1.5 for number in range(300)}
    assert kind([row] * TABLE_ROWS) == "record"
    survey = {f"q_{number:02}": number % 5 for number in range(60)}
    assert kind([survey] * TABLE_ROWS) == "record"
    mixed: dict[str, Any] = {**row, "name": "text"}
    assert kind([mixed]) == "record", "values of several kinds are no values of one map"


def test_keys_that_are_rare_make_a_map() -> None:
    several = [{"abcdefghijklmnopqrstuvwxyz"[number]: number} for number in range(MAP_KEYS)]
    assert kind(several) == "map"
    few = [{"abcdefghijklmnopqrstuvwxyz"[number]: number} for number in range(ALIKE_KEYS)]
    assert kind(few) == "map", "of one kind, fewer are enough"
    assert kind(few[:-1]) == "record"
    unlike = [{"abcdefgh"[number]: [number, "text"][number % 2]} for number in range(ALIKE_KEYS)]
    assert kind(unlike) == "record"


def test_many_objects_of_one_shape_make_a_map() -> None:
    support = {
        name: {"version_added": "1"}
        for name in ["chrome", "edge", "firefox", "ie", "opera", "safari", "deno", "node"]
    }
    assert kind([support] * 50) == "map"
    assert proposed([support])["values"]["type"] == "record"
    in_arrays = {name: [each] for name, each in support.items()}
    assert kind([{**support, "deno": in_arrays["deno"]}] * 50) == "map", "some in arrays"
    unlike = {name: {f"of {name}": 1} for name in support}
    assert kind([unlike] * 50) == "record"
    some = dict(list(support.items())[: ALIKE_KEYS - 1])
    assert kind([some] * 50) == "record"
    assert kind([{**support, "name": "x"}] * 50) == "record"


def test_objects_of_maps_are_maps_where_nearly_all_are() -> None:
    stats: dict[str, Any] = {name: {"1": "y", "2.1": "n"} for name in "abcdefgh"}
    assert proposed([stats]) == {"type": "map", "values": {"type": "map", "values": "string"}}
    stats["mini"] = {"all": "n"}
    assert proposed([stats]) == {"type": "map", "values": {"type": "map", "values": "string"}}


def test_the_record_itself_is_never_a_map() -> None:
    inference = Inference()
    inference.observe({str(number): number for number in range(300)})
    assert inference.proposal()["type"] == "record"


KEYS = st.one_of(
    st.text(max_size=5),
    st.sampled_from([key for keys in (*NEVER_NAMES, *IDS, *NAMES) for key in keys]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.dictionaries(KEYS, inner, max_size=12) | st.lists(inner, max_size=2),
    max_leaves=30,
)


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=12), min_size=1, max_size=12))
def test_whatever_the_keys_are_what_was_seen_is_accepted(objects: list[dict[str, Any]]) -> None:
    readable = [each for each in objects if all(is_readable(key) for key in keys_of(each))]
    if readable:
        proposed(readable)


def is_readable(key: str) -> bool:
    return not any(char in key for char in '"\\') and all(char >= " " for char in key)


def keys_of(value: Any) -> list[str]:
    inner = (
        list(value.values())
        if isinstance(value, dict)
        else value
        if isinstance(value, list)
        else []
    )
    own = list(value) if isinstance(value, dict) else []
    return own + [key for each in inner for key in keys_of(each)]
