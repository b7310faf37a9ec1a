"""Comments in schema documents are white space to the parser, and are never found within texts.
Wrappers around types say nothing, and are left out of what is written."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schema.strategies import schemas

from worker.schema import SchemaError, parse_schema
from worker.schema.document import MAX_BYTES, read_document

TEXTS = st.text(st.sampled_from('/*"\\ab\n{}é'), max_size=8)
DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.integers(), TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
COMMENTS = st.one_of(
    st.text(st.sampled_from("/*\"\\ab{}[],: '"), max_size=8).map(lambda text: f"//{text}\n"),
    st.text(st.sampled_from("/*\"\\ab{}\n,: '"), max_size=8)
    .filter(lambda text: "*/" not in text and not text.endswith("*"))
    .map(lambda text: f"/*{text}*/"),
)


@given(DOCUMENTS, st.data())
def test_comments_between_the_parts_of_a_document_change_nothing(
    document: Any, data: st.DataObject
) -> None:
    parts = json.JSONEncoder(ensure_ascii=False).iterencode(document)
    text = "".join(f"{part}{data.draw(COMMENTS)}" for part in parts if part)
    assert read_document(data.draw(COMMENTS) + text) == document
    assert read_document(text.encode()) == document


def test_an_error_behind_comments_has_its_own_line_and_column() -> None:
    with pytest.raises(SchemaError, match="line 4 column 8"):
        read_document('{ // one\n/* two\n three */ "a": 1,\n   "b":?}')


@pytest.mark.parametrize(
    "text",
    ['{"a": 1} /* never ends', '{"a": 1} /*/', '{"a": /', '"never ends // text', "/**/", "// {}"],
)
def test_what_a_comment_does_not_end_is_no_document(text: str) -> None:
    with pytest.raises(SchemaError, match="no JSON document"):
        read_document(text)


def test_texts_keep_what_looks_like_a_comment() -> None:
    text = r'{"doc": "see https://x.example/*", "more": "a \" // b", "end": "\\"} // "'
    assert read_document(text)["doc"] == "see https://x.example/*"
    assert read_document(text)["more"] == 'a " // b'


@pytest.mark.parametrize("piece", ["/*", '"\\"', '"/*', "//", "/* */", '"\\'])
def test_a_document_of_a_megabyte_is_looked_at_once(piece: str) -> None:
    text = piece * (MAX_BYTES // len(piece))
    with pytest.raises(SchemaError):  # at once: what looks back takes minutes here
        read_document(text)


@pytest.mark.parametrize("mark", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_may_begin_with_a_byte_order_mark(mark: str) -> None:
    assert read_document('"int" // é'.encode(mark)) == "int"


def test_the_schema_of_a_commented_file_has_no_comments() -> None:
    text = """
    /* Licensed to nobody. */
    {"type": "record", "name": "R", // a record
     "fields": [{"name": "a", "type": /* of */ "int", "doc": "// kept"}]}
    """
    schema = parse_schema(text)
    assert json.loads(schema.source)["fields"][0]["doc"] == "// kept"
    assert parse_schema(schema.source) == schema


def wrapped(node: Any, chosen: Random) -> Any:
    """The type with wrappers `{"type": {...}}` around some types in it."""
    if isinstance(node, list):
        found: Any = [wrapped(each, chosen) for each in node]
    elif isinstance(node, dict) and "fields" in node:
        fields = [{**each, "type": wrapped(each["type"], chosen)} for each in node["fields"]]
        found = {**node, "fields": fields}
    elif isinstance(node, dict):
        inner = {key: wrapped(node[key], chosen) for key in ("items", "values") if key in node}
        found = {**node, **inner}
    else:
        found = node
    around = chosen.randrange(3) if isinstance(found, dict | list) else 0
    for _ in range(around):
        found = {"type": found, "doc": "a wrapper"}
    return found


@given(schemas(), st.randoms(use_true_random=False))
def test_wrappers_around_types_are_left_out_of_the_text(
    made: tuple[Any, Any], chosen: Random
) -> None:
    """They say nothing, and Apache's library for Java refuses them."""
    document, _ = made
    plain = parse_schema(json.dumps(document))
    schema = parse_schema(json.dumps(wrapped(document, chosen)))
    assert schema.source == plain.source
    assert schema.root == plain.root


def test_what_looks_like_a_wrapper_in_a_default_is_kept() -> None:
    kind = {"type": "map", "values": {"type": "map", "values": "int"}}
    field = {"name": "a", "type": kind, "default": {"type": {"type": 1}}, "more": {"type": []}}
    document = {"type": "record", "name": "R", "fields": [field]}
    assert json.loads(parse_schema(json.dumps(document)).source) == document
