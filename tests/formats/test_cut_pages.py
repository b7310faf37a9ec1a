"""Records that no parser takes (lone surrogates, NaN) cost only themselves in an intact page."""

from __future__ import annotations

import json
from typing import Any

import kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import BadBody
from worker.core.model import Decoded
from worker.formats.json import JsonPages
from worker.formats.records import PageSpec, RecordSpec
from worker.schema import compile_plan
from worker.schema.parse import parse_schema

PLAN = compile_plan(parse_schema(json.dumps(kit.SCHEMA)))
BAD = [
    rb'{"id": 1, "name": "\ud800"}',
    rb'{"\ud800": [1, {"x": 2}]}',
    rb'{"x": "\ud800\ud800"}',
    b'{"x": NaN}',
    b'{"x": [-Infinity]}',
    b'{"x": True}',
    b'["a\nb"]',
    rb'"\ud800"',
]
DEEP = b'{"x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"


def record(number: int) -> bytes:
    return json.dumps(kit.item(number, second=number % 60)).encode()


def page(records: list[bytes]) -> bytes:
    return b'{"meta": {"next": "t"}, "items": [' + b", \n".join(records) + b'], "total": 7}'


def decode(body: bytes, **spec: Any) -> Decoded:
    steps = JsonPages(
        PageSpec("items", body_paths=("meta.next", "total"), record=RecordSpec(**spec)), PLAN
    ).decode(body)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "spec",
    [{}, {"identify": True}, {"identify": True, "key_paths": ("id",)}],
    ids=["plain", "bytes", "keys"],
)
@given(
    st.lists(
        st.one_of(st.just(b""), st.sampled_from([*BAD, b"1", b"null", b'"a,b"', DEEP])),
        min_size=1,
        max_size=8,
    )
)
def test_a_record_that_is_no_json_costs_itself_only(
    spec: dict[str, Any], drawn: list[bytes]
) -> None:
    records = [each or record(number) for number, each in enumerate(drawn)]
    decoded = decode(page(records), **spec)
    codes = {DEEP: "nested_too_deep", **dict.fromkeys(BAD, "no_json")}
    assert [(reject.index, reject.code, reject.raw) for reject in decoded.rejects] == [
        (number, codes.get(each, "invalid"), each) for number, each in enumerate(drawn) if each
    ]
    assert all(reject.errors[0].path.startswith("$") for reject in decoded.rejects)
    assert PLAN.raw_column(("id",))(decoded.records) == [
        number for number, each in enumerate(drawn) if not each
    ]
    assert (decoded.facts.count, decoded.facts.body) == (len(drawn), {"meta.next": "t", "total": 7})
    if spec:
        good = [number for number, each in enumerate(drawn) if not each]
        assert [decoded.facts.keys[number] for number in good] == decode(
            page([record(number) for number in good]), **spec
        ).facts.keys[:]


@pytest.mark.parametrize("bad", BAD)
def test_a_page_that_is_cut_anywhere_is_a_bad_body(bad: bytes) -> None:
    body = page([record(1), bad, record(2)])
    for end in range(len(body)):
        with pytest.raises(BadBody):
            decode(body[:end])


@pytest.mark.parametrize(
    "garbage",
    [
        b"oops",
        b"",
        b"<html>",
        record(3) + b" " + record(4),
        b'{"id" 1}',
        b'{"id": 1]',
        b'{"id": 1,}',
        b'"a',
        b"01",
        b"{,}",
        b"\0",
        b"1 2",
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_garbage_between_records_is_a_bad_body(garbage: bytes, place: int) -> None:
    records = [record(1), BAD[0]]
    records.insert(place, garbage)
    with pytest.raises(BadBody):
        decode(page(records))


def test_a_long_page_keeps_its_other_records() -> None:
    decoded = decode(
        page([BAD[0] if number == 7_000 else record(number) for number in range(20_000)])
    )
    assert ([reject.index for reject in decoded.rejects], len(decoded.records)) == ([7_000], 19_999)


@pytest.mark.parametrize("count", [1_999, 2_000, 2_001, 4_000])
def test_a_long_page_with_a_comma_too_many_is_a_bad_body(count: int) -> None:
    records = [record(number) for number in range(count)]
    for place in (0, 2_000, count):
        with pytest.raises(BadBody):
            decode(page([*records[:place], b"", *records[place:]]), record_bytes=10_000)


@pytest.mark.parametrize("bad", [*BAD, DEEP, b'{"id": 1, "name": "\xff"}'])
def test_a_last_record_that_cannot_be_read_is_no_end_where_the_next_page_stands_in_it(
    bad: bytes,
) -> None:
    assert decode(page([bad, record(2)]), last_paths=("id",)).facts.last == {"id": 2}
    with pytest.raises(BadBody, match="the last record"):
        decode(page([record(1), bad]), last_paths=("id",))
