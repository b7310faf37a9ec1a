"""XML bodies: what their elements stand for, and what is refused."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import BadBody, RecordsMissing
from worker.core.model import Decoded
from worker.formats.records import PageSpec, RecordSpec
from worker.formats.shape import Shape
from worker.formats.xml import Decode, XmlPages, declared_charset
from worker.formats.xml_document import MAX_DEPTH, MAX_NAMES, XmlReader
from worker.runtime.slices import at_once
from worker.schema import compile_plan, parse_schema

CONFIG = Decode(type="xml")
LINE = {
    "type": "record",
    "name": "Line",
    "fields": [{"name": "sku", "type": ["null", "string"], "default": None}],
}
FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "long"},
    {"name": "name", "type": ["null", "string"], "default": None},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
    {"name": "lines", "type": {"type": "array", "items": LINE}},
    {"name": "detail", "type": ["null", "Line"], "default": None},
    {"name": "rates", "type": {"type": "map", "values": "double"}, "default": {}},
    {"name": "price", "type": ["null", "double"], "default": None},
]
SCHEMA = parse_schema(json.dumps({"type": "record", "name": "R", "fields": FIELDS}))


def pages_of(path: str | None = "r.i", **page: Any) -> XmlPages:
    return XmlPages(PageSpec(path, **page), compile_plan(SCHEMA, spellings=CONFIG.spellings))


def decode(body: str | bytes, path: str | None = "r.i", **page: Any) -> Decoded:
    return at_once(
        pages_of(path, **page).decode(body if isinstance(body, bytes) else body.encode())
    )


def records(body: str, path: str = "r.i", **page: Any) -> list[dict[str, Any]]:
    decoded = decode(body, path, **page)
    assert not decoded.rejects, decoded.rejects
    fields = [each["name"] for each in FIELDS]
    return [
        {
            name: value
            for name, value in zip(fields, _values(record), strict=True)
            if value not in (None, [], {})
        }
        for record in decoded.records
    ]


def _values(record: Any) -> list[Any]:
    values = [getattr(record, name) for name in record.__struct_fields__][: len(FIELDS)]
    return [msgspec.to_builtins(each) for each in values]


def document(body: str) -> Any:
    reader = XmlReader((), None)
    reader.feed(body.encode())
    return json.loads(reader.close())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<r/>", {"r": ""}),
        ("<r>\n</r>", {"r": ""}),
        ("<r> a </r>", {"r": " a "}),
        ("<r><i>1</i></r>", {"r": {"i": "1"}}),
        ("<r><i>1</i><i/><i>2</i></r>", {"r": {"i": ["1", "", "2"]}}),
        ('<r a="1" b=""/>', {"r": {"@a": "1", "@b": ""}}),
        ('<r a="1"> x </r>', {"r": {"@a": "1", "#text": "x"}}),
        ("<r>a<b>1</b>c</r>", {"r": {"b": "1", "#text": "ac"}}),
        ("<r><![CDATA[<&>]]>&lt;&#233;</r>", {"r": "<&><é"}),
        ('<s:r xmlns:s="u" xmlns="v" s:a="1"><i/></s:r>', {"r": {"@a": "1", "i": ""}}),
        (
            '<r xmlns:x="http://www.w3.org/2001/XMLSchema-instance"><i x:nil="true"/></r>',
            {"r": {"i": None}},
        ),
        ("<?xml version='1.0'?><?x y?><!-- c --><r><!-- c -->1</r>\n", {"r": "1"}),
    ],
)
def test_what_elements_stand_for(body: str, expected: Any) -> None:
    assert document(body) == expected


TREES = st.recursive(
    st.text("abé<&>\"' \n", max_size=6),
    lambda inner: st.dictionaries(
        st.sampled_from("abc"), st.lists(inner, min_size=1, max_size=3), max_size=3
    ),
    max_leaves=20,
)


def written(name: str, tree: Any) -> str:
    from xml.sax.saxutils import escape

    inner = (
        escape(tree)
        if isinstance(tree, str)
        else "".join(written(key, each) for key, many in tree.items() for each in many)
    )
    return f"<{name}>{inner}</{name}>"


def meant(tree: Any) -> Any:
    if isinstance(tree, str):
        return tree if tree.strip() else ""
    if not tree:
        return ""
    return {
        key: [*map(meant, many)] if len(many) > 1 else meant(many[0]) for key, many in tree.items()
    }


@given(TREES, st.integers(1, 7))
def test_a_document_is_read_as_it_was_written_however_it_is_cut(tree: Any, step: int) -> None:
    body, reader = written("r", tree).encode(), XmlReader((), None)
    for at in range(0, len(body), step):
        reader.feed(body[at : at + step])
    assert json.loads(reader.close()) == {"r": meant(tree)}


def test_records_are_what_the_schema_says() -> None:
    body = """<r><i><id>1</id><name/><tags>a</tags><lines/><detail/><price currency="EUR">2.5</price></i>
    <i><id> 2 </id><tags>a</tags><tags/><lines><sku>x</sku></lines><lines/><rates><eur>1</eur></rates></i>
    <i><id>3</id><detail><sku/></detail><price/></i></r>"""
    assert records(body) == [
        {"id": 1, "name": "", "tags": ["a"], "price": 2.5},
        {"id": 2, "tags": ["a", ""], "lines": [{"sku": "x"}, {"sku": None}], "rates": {"eur": 1.0}},
        {"id": 3, "detail": {"sku": ""}},
    ]


@pytest.mark.parametrize("body", ["<r/>", "<r> \n</r>", '<r total="0"/>', "<r><!-- none --></r>"])
def test_an_empty_parent_has_no_records(body: str) -> None:
    assert records(body) == []


@pytest.mark.parametrize(
    "body",
    ["<r>sorry</r>", "<r><error>x</error></r>", "<e/>", "<x><r><i><id>1</id></i></r></x>"],
)
def test_anything_else_without_records_is_no_page(body: str) -> None:
    with pytest.raises(RecordsMissing):
        decode(body)
    if "sorry" not in body:
        assert records(body, missing_is_empty=True) == []


def test_records_of_several_parents_are_one_page_with_its_facts() -> None:
    body = "<r><g n='1'><i><id>1</id></i></g><g/><g><i><id>2</id></i></g><next>b</next></r>"
    decoded = decode(body, "r.g.i", body_paths=("r.next",))
    assert decoded.facts.body == {"r.next": "b"}
    assert [each["id"] for each in records(body, "r.g.i")] == [1, 2]


def test_the_document_may_be_one_record() -> None:
    decoded = decode("<id>1</id>", "@")
    assert (len(decoded.records), decoded.rejects) == (1, [])


def test_any_path_is_searched_in_the_document_as_it_is() -> None:
    body = "<r><i k='a'><id>1</id></i><i k='b'><id>2</id></i></r>"
    decoded = decode(body, "r.i[?\"@k\"=='b']")
    assert json.loads(decoded.raw(0)) == {"@k": "b", "id": "2"}


def test_a_record_that_does_not_fit_says_its_line() -> None:
    decoded = decode("<r>\n<i><id>1</id></i>\n<i>\n<id>x</id></i><i>text</i></r>")
    assert [(each.index, each.line) for each in decoded.rejects] == [(1, 3), (2, 4)]
    assert json.loads(decoded.rejects[0].raw) == {"id": "x", "tags": [], "lines": []}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "no element"),
        ("<r>", "no XML"),
        ("<r></r><r/>", "junk"),
        ("<r>&nbsp;</r>", "undefined entity"),
        ('{"error": 1}', "no XML"),
        ("<!DOCTYPE html><html/>", "document type"),
        ('<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><r>&a;</r>', "document type"),
        ("<a>" * (MAX_DEPTH + 1), "levels"),
        ("<r>" + "".join(f"<n{each}/>" for each in range(MAX_NAMES + 1)), "names"),
    ],
)
def test_what_is_refused(body: str, words: str) -> None:
    with pytest.raises(BadBody, match=words):
        decode(body)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_page_or_a_named_error(data: bytes) -> None:
    for body in (data, b"<r><i>" + data + b"</i></r>"):
        with contextlib.suppress(BadBody, RecordsMissing):
            decode(body)


@pytest.mark.parametrize(
    ("head", "charset"),
    [
        (b"<?xml version='1.0' encoding='ISO-8859-2'?>", "iso-8859-2"),
        (b'\n<?xml version="1.0"\n  encoding = "koi8-r" standalone="yes"?>', "koi8-r"),
        (b'<?xml version="1.0" encoding="UTF-16"?>', ""),
        (b'<?xml version="1.0"?><a encoding="x"/>', ""),
        (b"<a/>", ""),
    ],
)
def test_a_declaration_names_the_character_set(head: bytes, charset: str) -> None:
    assert declared_charset(head) == charset


def test_error_bodies_are_read_by_paths_whether_they_are_xml_or_json() -> None:
    assert json.loads(CONFIG.json_of(b"\xef\xbb\xbf<e><code>7</code></e>")) == {"e": {"code": "7"}}
    assert CONFIG.json_of(b'{"e": 1}') == b'{"e": 1}'
    assert CONFIG.json_of(b"<!DOCTYPE html><html>") == b"<!DOCTYPE html><html>"


def test_identities_and_marks_are_those_of_records() -> None:
    spec = RecordSpec(identify=True, key_paths=("id",), value_path="name")
    decoded = decode("<r><i><id>1</id><name>a</name></i><i><id>1</id></i></r>", record=spec)
    assert decoded.facts.keys[0] == decoded.facts.keys[1]
    assert decoded.facts.values[0] == "a"


GROUPS = """<r at="2024"><g n="a"><i><id>1</id><tags>x</tags></i><i><id>2</id></i></g>
<g n="b"><i><id>3</id></i></g><g n="c"/></r>"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (GROUPS, [(1, "a"), (2, "a"), (3, "b")]),
        ("<r><g n='a'><i><id>1</id></i></g></r>", [(1, "a")]),
        ("<r><g n='a'/></r>", []),
        ("<r/>", []),
    ],
)
def test_elements_of_items_are_records_also_where_one_stands_alone(
    body: str, expected: list[tuple[int, str]]
) -> None:
    found = records(body, "r.g", shape=Shape(each="i", keep={"name": '"@n"'}))
    assert [(each["id"], each["name"]) for each in found] == expected


def test_records_get_what_the_page_says() -> None:
    shape = Shape(envelope={"name": 'r."@at"'})
    body = "<r at='2024'><i><id>1</id><tags>x</tags></i></r>"
    assert records(body, shape=shape) == [{"id": 1, "name": "2024", "tags": ["x"]}]


def test_a_reject_among_elements_says_its_line() -> None:
    body = "<r>\n<g><i><id>1</id></i>\n<i><id>x</id></i></g></r>"
    decoded = decode(body, "r.g", shape=Shape(each="i"))
    assert [(each.index, each.line) for each in decoded.rejects] == [(1, 3)]
