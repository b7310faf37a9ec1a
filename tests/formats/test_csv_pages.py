"""CSV bodies: what is a record, what a reject, and what is no CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from worker.core.errors import BadBody
from worker.core.model import Decoded
from worker.formats.csv import CsvKeys, CsvPages, Decode
from worker.formats.records import RecordSpec
from worker.runtime.slices import at_once
from worker.schema import CompiledPlan, compile_plan, parse_schema

FIELDS: dict[str, Any] = {
    "id": "long",
    "price": ["null", "double"],
    "name": "string",
    "sold": ["null", "boolean"],
}


def plan_of(fields: dict[str, Any], **rules: Any) -> CompiledPlan:
    described = [
        {"name": name, "type": kind, **({"default": None} if isinstance(kind, list) else {})}
        for name, kind in fields.items()
    ]
    schema = parse_schema(json.dumps({"type": "record", "name": "R", "fields": described}))
    return compile_plan(schema, spellings=Decode(type="csv").spellings, **rules)


def pages_of(
    keys: dict[str, Any] | None = None, fields: dict[str, Any] = FIELDS, **spec: Any
) -> CsvPages:
    names = frozenset(fields)
    return CsvPages(CsvKeys(**keys or {}), RecordSpec(json_names=names, **spec), plan_of(fields))


def decode(body: str | bytes, keys: dict[str, Any] | None = None, **spec: Any) -> Decoded:
    data = body if isinstance(body, bytes) else body.encode()
    return at_once(pages_of(keys, **spec).decode(data))


def rows_of(decoded: Decoded) -> list[tuple[Any, ...]]:
    return [(each.id, each.price, each.name, each.sold) for each in map(_named, decoded.records)]


def _named(record: Any) -> Any:
    return type("Named", (), dict(zip(FIELDS, _values(record), strict=True)))


def _values(record: Any) -> list[Any]:
    return [getattr(record, name) for name in record.__struct_fields__][: len(FIELDS)]


def test_values_are_read_as_the_schema_says() -> None:
    decoded = decode("name,id,price,extra,sold\na,1,2.5,x,true\n,2,,,\n 3 ,3,-1e3,,N\n")
    assert rows_of(decoded) == [
        (1, 2.5, "a", True),
        (2, None, "", None),
        (3, -1000.0, " 3 ", False),
    ]


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(
    st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), TEXTS), max_size=20),
    st.sampled_from([",", ";", "\t", "|", " ", "é"]),
    st.sampled_from(['"', "'"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_what_was_written_is_read(
    rows: list[tuple[int, str]], delimiter: str, quote: str, ending: str
) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(
        written, delimiter=delimiter, quotechar=quote, lineterminator=ending, quoting=csv.QUOTE_ALL
    )
    writer.writerows([("id", "name"), *rows])
    decoded = decode(written.getvalue(), {"delimiter": delimiter, "quote": quote})
    assert not decoded.rejects
    assert [(row[0], row[2]) for row in rows_of(decoded)] == rows
    assert [json.loads(decoded.raw(place))["name"] for place in range(len(rows))] == [
        name for _, name in rows
    ]


def test_a_row_that_does_not_fit_says_its_line() -> None:
    body = 'id,name\n1,"two\r\nlines"\n\nx,b\n3,c,d\n4\n5,e\n'
    decoded = decode(body)
    assert [(each.index, each.line, each.code) for each in decoded.rejects] == [
        (1, 5, "invalid"),
        (2, 6, "wrong_columns"),
        (3, 7, "wrong_columns"),
    ]
    assert [row[0] for row in rows_of(decoded)] == [1, 5]
    assert decoded.indices == [0, 4]
    assert json.loads(decoded.rejects[0].raw) == {"id": "x", "name": "b"}
    assert json.loads(decoded.rejects[1].raw) == ["3", "c", "d"]
    assert decoded.rejects[1].errors[0].allowed == "2, as many as columns"


def test_lines_are_counted_over_slices() -> None:
    rows = [f"{number},a" for number in range(30_000)]
    rows[29_000] = "no,a"
    decoded = decode("\n".join(["id,name", *rows]))
    assert [(each.index, each.line) for each in decoded.rejects] == [(29_000, 29_002)]
    assert decoded.facts.count == 30_000


@pytest.mark.parametrize("body", ["", "\n\n", "id,name", "id,name\r\n", "\ufeffid,name\n"])
def test_a_body_without_rows_is_an_empty_page(body: str) -> None:
    assert decode(body).facts.count == 0


def test_a_header_is_trimmed_and_may_follow_blank_lines() -> None:
    assert rows_of(decode("\ufeff\n id , name ,\n1,a,\n")) == [(1, None, "a", None)]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('id,name\n1,"a', "line 2"),
        ('id,name\n1,"a"b\n', "line 2"),
        ("id;name\n1;a\n", "no column of the schema"),
        ("<html>\n<body>\n", "no column of the schema"),
        ("id,name,id\n1,a,1\n", "two columns are called 'id'"),
        (b"id,name\n1,\xff\n", "UTF-8"),
        ('id,name\n1,"' + "a" * 2_000_000, "field larger than field limit"),
    ],
)
def test_what_is_no_csv_is_a_bad_body(body: str | bytes, words: str) -> None:
    with pytest.raises(BadBody, match=words):
        decode(body)


def test_columns_have_names_of_the_config_where_there_is_no_header() -> None:
    decoded = decode(
        "1|x|a\n2|y|b\n", {"delimiter": "|", "header": "none", "names": ["id", "", "name"]}
    )
    assert [(row[0], row[2]) for row in rows_of(decoded)] == [(1, "a"), (2, "b")]
    assert decoded.facts.columns == ()


def test_without_quotes_they_are_a_part_of_values() -> None:
    assert rows_of(decode('id,name\n1,"a\n', {"quote": None}))[0][2] == '"a'


@pytest.mark.parametrize("header", ["first", "each"])
def test_pages_behind_the_first_one(header: str) -> None:
    pages = pages_of({"header": header})
    first = at_once(pages.decode(b"name,id\na,1\n"))
    assert first.facts.columns == (("name", "id") if header == "first" else ())
    behind = pages.behind(first.facts.columns)
    repeated = at_once(behind.decode(b"name,id\nb,2\n"))
    assert rows_of(repeated) == [(2, None, "b", None)]
    if header == "first":
        bare = at_once(behind.decode(b'"two\nlines",3\nc,x\n'))
        assert rows_of(bare) == [(3, None, "two\nlines", None)]
        assert [each.line for each in bare.rejects] == [3]
        assert bare.facts.columns == ("name", "id")


def test_a_page_behind_one_without_columns_names_them_itself() -> None:
    """The first page was empty, or the state was written before its columns were kept."""
    decoded = at_once(pages_of().behind(()).decode(b"id,name\n1,a\n"))
    assert rows_of(decoded) == [(1, None, "a", None)]


def test_a_row_over_the_limit_of_a_record_is_one_reject() -> None:
    body = f"id,name\n1,{'a' * 500}\n2,b\n"
    decoded = decode(body, record_bytes=200)
    assert [each.code for each in decoded.rejects] == ["record_too_large"]
    assert [row[0] for row in rows_of(decoded)] == [2]


def test_identities_are_those_of_the_rows() -> None:
    decoded = decode("id,name\n1,a\n1,a\n2,b\n", identify=True)
    first, second, third = decoded.facts.keys
    assert first == second != third
    keyed = decode("name,id\na,1\nb,1\n", identify=True, key_paths=("id",))
    assert len(set(keyed.facts.keys)) == 1
    assert len(set(keyed.facts.contents)) == 2


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"delimiter": ",,"}, "one character"),
        ({"delimiter": "\n"}, "one character"),
        ({"quote": ","}, "are both"),
        ({"header": "none"}, "go together"),
        ({"names": ["a"]}, "go together"),
        ({"header": "none", "names": ["a", "b", "a"]}, "two columns"),
    ],
)
def test_wrong_keys_are_refused(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as raised:
        CsvKeys(**keys)
    details = raised.value.errors()[0]
    assert words in str(details["ctx"])
