"""One schema of documents that define types for each other, and the places in its errors."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.schema import SchemaError, parse_schema
from worker.schema.canonical import canonical_form
from worker.schema.references import Definitions, parse_parts


def record(name: str, /, **fields: Any) -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": key, "type": kind} for key, kind in fields.items()],
    }


def assembled(root: Any, **documents: Any) -> Any:
    definitions = Definitions()
    for label, document in documents.items():
        definitions.add(document, label)
    return parse_parts(root, definitions, "root")


ORDER = record("com.x.Order", id="long", by="Customer", to=["null", "Address"])
CUSTOMER = record("com.x.Customer", name="string", home="com.x.Address", kind="com.y.Kind")
ADDRESS = record("com.x.Address", city="string")
KIND = {"type": "enum", "name": "Kind", "namespace": "com.y", "symbols": ["A"]}


@pytest.mark.parametrize("order", list(itertools.permutations("abc")))
def test_the_order_of_the_documents_does_not_matter(order: tuple[str, ...]) -> None:
    documents = {"a": CUSTOMER, "b": ADDRESS, "c": KIND}
    schema = assembled(ORDER, **{label: documents[label] for label in order})
    assert list(schema.named) == ["com.x.Address", "com.y.Kind", "com.x.Customer", "com.x.Order"]
    assert parse_schema(schema.source) == schema, "it stands alone"


def test_types_may_refer_to_each_other_over_documents() -> None:
    person = record("Person", boss=["null", "Person"], team="Team")
    team = record("Team", members={"type": "array", "items": "Person"}, by={"type": "Person"})
    schema = assembled("Person", person=person, team=team)
    assert set(schema.named) == {"Person", "Team"}
    assert parse_schema(schema.source) == schema


def test_a_definition_stands_where_its_name_stood_without_an_object_around_it() -> None:
    """Readers refuse `{"type": {"type": "enum", ...}}` in a file."""
    schema = assembled(record("R", kind={"type": "com.y.Kind"}), kind=KIND)
    assert json.loads(schema.source) == record("R", kind=KIND)


def test_a_type_within_another_one_may_be_used_before_that_one() -> None:
    outer = record("n.Outer", inner=record("Inner", x="int"), again="Inner")
    schema = assembled(record("n.Root", i="Inner", o="Outer"), outer=outer)
    assert set(schema.named) == {"n.Root", "n.Inner", "n.Outer"}
    assert parse_schema(schema.source) == schema


def test_a_list_of_types_is_as_good_as_a_file_for_each() -> None:
    whole = assembled("com.x.Order", all=[ADDRESS, KIND, CUSTOMER, ORDER])
    assert whole == assembled(ORDER, a=ADDRESS, k=KIND, c=CUSTOMER)


@pytest.mark.parametrize("inner", ["map", "array"])
def test_a_type_may_be_called_like_a_kind(inner: str) -> None:
    schema = assembled(
        record("Root", a={"type": inner, "items": "int", "values": "int"}),
        other=record(inner, x="int"),
    )
    assert schema.root.fields[0].type.kind == inner


def test_a_second_definition_names_both_documents() -> None:
    definitions = Definitions()
    definitions.add([KIND, record("R", address=ADDRESS)], "one.avsc")
    with pytest.raises(SchemaError, match=r"'com.x.Address' is defined already") as refused:
        definitions.add(ADDRESS, "two.avsc")
    assert refused.value.where == "two.avsc"
    assert "one.avsc: $[1].fields[0].type" in str(refused.value)


def test_a_type_that_nobody_defines_is_named_with_its_document() -> None:
    with pytest.raises(SchemaError, match=r"unknown type 'com\.y\.Kind'") as refused:
        assembled(ORDER, c=CUSTOMER, a=ADDRESS)
    assert (refused.value.where, refused.value.path) == ("c", "$.fields[2].type")


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({**ADDRESS, "fields": [{"name": "1st", "type": "int"}]}, "$.fields[0].name"),
        ({**ADDRESS, "fields": [{"name": "a", "type": ["int", "int"]}]}, "$.fields[0].type[1]"),
        ({**ADDRESS, "fields": [{"name": "a", "type": "int", "default": "x"}]}, None),
        ({**ADDRESS, "fields": {}}, "$.fields"),
    ],
)
def test_an_error_has_its_path_in_its_own_document(document: Any, path: str | None) -> None:
    with pytest.raises(SchemaError) as refused:
        assembled(ORDER, c=CUSTOMER, k=KIND, a=[document])
    expected = "$[0].fields[0].default" if path is None else path.replace("$", "$[0]", 1)
    assert (refused.value.where, refused.value.path) == ("a", expected)
    assert str(refused.value).startswith(f"a: {expected}: ")


def test_a_warning_has_its_path_in_its_own_document() -> None:
    wrong = {"type": "long", "logicalType": "timestamp-milis"}
    schema = assembled(ORDER, c=CUSTOMER, k=KIND, a=record("com.x.Address", at=wrong))
    assert [each.path for each in schema.warnings] == ["a: $.fields[0].type"]


def test_documents_without_an_end_are_refused() -> None:
    nested: Any = "int"
    for _ in range(200):
        nested = {"type": "array", "items": nested}
    with pytest.raises(SchemaError, match="nested deeper"):
        Definitions().add(nested, "deep.avsc")
    chain = {f"d{number}": record(f"T{number}", x=f"T{number + 1}") for number in range(200)}
    with pytest.raises(SchemaError, match="nested deeper"):
        assembled("T0", **chain)


NAMES = [f"{space}T{number}" for space in ("", "n.", "n.m.") for number in range(3)]


@given(
    st.lists(st.lists(st.sampled_from(NAMES), max_size=4), min_size=9, max_size=9),
    st.permutations(range(9)),
)
def test_split_files_in_any_order_are_the_schema_of_one_file(
    uses: list[list[str]], order: list[int]
) -> None:
    """Full names throughout, so that a document for each type is one reading of all."""
    documents = [
        record(name, **{f"f{number}": each for number, each in enumerate(used)})
        for name, used in zip(NAMES, uses, strict=True)
    ]
    # what has no namespace cannot be named where a namespace has a type of the same last name
    names = [each for each in NAMES if each.startswith("n.")]
    documents = [each for each in documents if each["name"] in names]
    for each in documents:
        each["fields"] = [field for field in each["fields"] if field["type"] in names]
    shuffled = [documents[number] for number in order if number < len(documents)]
    straight = Definitions()
    straight.add(documents, "all")
    split = Definitions()
    for number, each in enumerate(shuffled):
        split.add(json.loads(json.dumps(each)), f"file{number}")
    for name in names:
        found = parse_parts(name, split, "root")
        assert canonical_form(found) == canonical_form(parse_parts(name, straight, "root"))
        assert parse_schema(found.source) == found


HOSTILE = st.recursive(
    st.one_of(
        st.none(),
        st.integers(-1, 3),
        st.sampled_from(
            ["record", "enum", "fixed", "array", "map", "int", "A", "n.A", "", "n", "."]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "name",
                    "namespace",
                    "fields",
                    "items",
                    "values",
                    "symbols",
                    "size",
                    "aliases",
                    "default",
                ]
            ),
            inner,
            max_size=6,
        ),
        st.builds(
            lambda name, kinds: record(name, **{f"f{n}": each for n, each in enumerate(kinds)}),
            st.sampled_from(["A", "n.A", "n.B", "B"]),
            st.lists(inner, max_size=3),
        ),
    ),
    max_leaves=12,
)


@given(st.lists(HOSTILE, min_size=1, max_size=4), HOSTILE)
def test_whatever_documents_hold_is_a_schema_or_an_error_with_its_document(
    documents: list[Any], root: Any
) -> None:
    definitions = Definitions()
    labels = [f"file{number}" for number in range(len(documents))]
    try:
        for label, document in zip(labels, documents, strict=True):
            definitions.add(document, label)
        schema = parse_parts(root, definitions, "root")
    except SchemaError as error:
        assert error.where in (*labels, "root") and error.path.startswith("$")
    else:
        assert parse_schema(schema.source) == schema
