"""Records that nest deeply: what is too deep costs itself, where the page can still be cut."""

from __future__ import annotations

import json
from typing import Any

import kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import BadBody
from worker.core.model import Decoded
from worker.core.ports import Pages
from worker.formats.json import JsonPages
from worker.formats.ndjson import NdjsonPages
from worker.formats.records import PageSpec, RecordSpec
from worker.runtime.slices import at_once
from worker.schema import compile_plan
from worker.schema.parse import parse_schema

PLAN = compile_plan(parse_schema(json.dumps(kit.SCHEMA)))
NODE = {
    "type": "record",
    "name": "Node",
    "fields": [{"name": "id", "type": "int"}, {"name": "next", "type": ["null", "Node"]}],
}
LEVELS = 5_000  # no parser follows


def decode(pages: Pages, body: bytes) -> Decoded:
    return at_once(pages.decode(body))


def ids(decoded: Decoded) -> list[int]:
    return PLAN.raw_column(("id",))(decoded.records)


def record(number: int, levels: int = 0) -> bytes:
    """An item; `levels` of arrays in a field that the schema lacks."""
    text = json.dumps(kit.item(number, second=number))
    return (
        text.encode()
        if not levels
        else text[:-1].encode() + b', "more": ' + b"[" * levels + b"]" * levels + b"}"
    )


def page(records: list[bytes], meta: bytes = b'{"next": "t"}') -> bytes:
    return b'{"meta": ' + meta + b', "items": [' + b", \n".join(records) + b"]}"


def typed(**record_spec: Any) -> JsonPages:
    return JsonPages(
        PageSpec("items", body_paths=("meta.next",), record=RecordSpec(**record_spec)), PLAN
    )


def linked(levels: int) -> bytes:
    return b'{"id":1,"next":' * (levels - 1) + b'{"id":1}' + b"}" * (levels - 1)


@pytest.mark.parametrize(
    "facts",
    [{}, {"identify": True}, {"identify": True, "value_path": "updated_at", "key_paths": ("id",)}],
    ids=["plain", "bytes", "keys"],
)
@given(deep=st.lists(st.booleans(), min_size=1, max_size=8))
def test_a_record_that_no_parser_can_follow_costs_itself_only(
    facts: dict[str, Any], deep: list[bool]
) -> None:
    records = [record(number, LEVELS if each else 0) for number, each in enumerate(deep)]
    decoded = decode(typed(**facts), page(records))
    assert [(reject.index, reject.code, reject.raw) for reject in decoded.rejects] == [
        (number, "nested_too_deep", records[number]) for number, each in enumerate(deep) if each
    ]
    assert ids(decoded) == [number for number, each in enumerate(deep) if not each]
    assert (decoded.facts.count, decoded.facts.body["meta.next"]) == (len(deep), "t")
    assert len(decoded.facts.keys) == (len(deep) if facts else 0)
    assert all(decoded.raw(number) == each for number, each in enumerate(records))


def test_the_identity_of_a_record_is_the_same_beside_one_that_is_too_deep() -> None:
    pages = typed(identify=True)
    alone, beside = (
        decode(pages, page([record(1), record(2)])),
        decode(pages, page([record(1), record(2), record(3, LEVELS)])),
    )
    assert beside.facts.keys[:2] == alone.facts.keys[:]


def test_what_the_schema_lacks_is_skipped_as_deep_as_a_parser_goes() -> None:
    decoded = decode(typed(), page([record(1, 200)]))
    assert not decoded.rejects and len(decoded.records) == 1


@pytest.mark.parametrize(
    "body",
    [
        page([record(1)], b"[" * LEVELS + b"]" * LEVELS),
        page([record(1)], b"[" * LEVELS),
        page([record(1), record(2, LEVELS)])[:-2],
        page([record(1), b'{"id" nonsense}', record(2, LEVELS)]),
        b'{"more": ' + page([record(1, LEVELS)]) + b"}",
    ],
    ids=[
        "deep envelope",
        "cut in the envelope",
        "cut behind the records",
        "a record that is no JSON",
        "no records where they should be",
    ],
)
def test_a_page_that_cannot_be_cut_is_a_bad_body(body: bytes) -> None:
    with pytest.raises(BadBody):
        decode(typed(), body)


def test_a_page_of_more_than_keys_is_a_bad_body_when_it_is_too_deep() -> None:
    with pytest.raises(BadBody, match="deep"):
        decode(JsonPages(PageSpec("items[?id > `0`]"), PLAN), page([record(1, LEVELS)]))


def test_a_long_page_is_cut_at_its_deep_records_too() -> None:
    decoded = decode(
        typed(),
        page([record(number, LEVELS if number == 7_000 else 0) for number in range(20_000)]),
    )
    assert [reject.index for reject in decoded.rejects] == [7_000]
    assert ids(decoded) == [number for number in range(20_000) if number != 7_000]


@pytest.mark.parametrize("ending", [b"\n", b""])
def test_a_deep_line_is_one_reject(ending: bytes) -> None:
    lines = [record(1), record(2, LEVELS)]
    decoded = decode(NdjsonPages(PageSpec(), PLAN), b"\n".join(lines) + ending)
    assert [(reject.index, reject.code) for reject in decoded.rejects] == [(1, "nested_too_deep")]
    with pytest.raises(BadBody, match="cut"):
        decode(NdjsonPages(PageSpec(), PLAN), b"\n".join(lines)[:-1])


@pytest.mark.parametrize("path", ["items", "items[?id > `0`]"])
def test_a_schema_that_holds_itself_is_bounded_by_the_limit(path: str) -> None:
    pages = JsonPages(
        PageSpec(path, record=RecordSpec(depth=5)), compile_plan(parse_schema(json.dumps(NODE)))
    )
    decoded = decode(pages, page([linked(5), linked(6), linked(1)]))
    assert [
        (reject.index, reject.code, reject.errors[0].allowed) for reject in decoded.rejects
    ] == [(1, "nested_too_deep", "at most 5 levels (source.limits.depth)")]
    assert len(decoded.records) == 2
