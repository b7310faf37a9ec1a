"""Pages whose records are not simply the elements of an array, held against what they say in
plain Python."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import BadBody, RecordsMissing
from worker.core.model import MISSING, Decoded
from worker.formats.component import DecodeDeps
from worker.formats.json import Decode, JsonPages, pages
from worker.formats.records import PageSpec, RecordSpec
from worker.formats.shape import Shape
from worker.formats.shaped_json import ShapedPages
from worker.formats.writers import WriterSchemas
from worker.runtime.slices import at_once
from worker.schema import compile_plan, parse_schema

NULLABLE = ["null", "string"]
SCHEMA = {
    "type": "record",
    "name": "R",
    "fields": [
        {"name": "id", "type": ["null", "long"], "default": None},
        {"name": "at", "type": NULLABLE, "default": None},
        {"name": "v", "type": "long"},
    ],
}
PLAN = compile_plan(parse_schema(json.dumps(SCHEMA)))
EACH = Shape(each="rows", keep={"id": "id"}, envelope={"at": "meta.at"})


def read(document: Any, spec: PageSpec, *, texts: bool = False) -> Decoded:
    """A page; with `texts` no records are decoded as values of their items."""
    shaped = ShapedPages(spec, PLAN)
    if texts:
        shaped._typed = None
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return at_once(shaped.decode(body))


def values(decoded: Decoded) -> list[tuple[Any, Any, Any]]:
    return [(record.f0, record.f1, record.f2) for record in decoded.records]


# -- each and keep ---------------------------------------------------------------------------------

ABSENT = object()
rows = st.lists(
    st.fixed_dictionaries(
        {"v": st.integers(-5, 5) | st.just("bad")}, optional={"id": st.integers(0, 2) | st.none()}
    ),
    max_size=4,
)
items = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "rows": rows | st.none() | st.just("text"),
            "id": st.integers(0, 2) | st.none() | st.just("x"),
        },
    ),
    max_size=5,
)


@dataclass
class Told:
    """What a page of items says, in plain Python."""

    good: list[tuple[Any, Any, Any]] = field(default_factory=list)
    bad: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def add(self, place: str, value: tuple[Any, Any, Any] | None) -> None:
        if value is None:
            self.bad.append(len(self.places))
        else:
            self.good.append(value)
        self.places.append(place)


def told(document: dict[str, Any], *, absent_is_none: bool) -> Told:
    """What the page of the shape EACH says."""
    found, at = Told(), document.get("meta", {}).get("at")
    for number, item in enumerate(document["items"]):
        elements = item.get("rows", [] if absent_is_none else ABSENT)
        if elements is None:
            elements = []
        if not isinstance(elements, list):
            found.add(f"items[{number}].rows[0]", None)
        else:
            for place, row in enumerate(elements):
                kept = item.get("id", row.get("id"))
                taken = "id" in item and "id" in row and row["id"] != item["id"]
                right = not taken and row["v"] != "bad" and kept != "x"
                shown = f"items[{number}].rows[{place}]"
                found.add(shown, (kept, at, row["v"]) if right else None)
        found.ends.append(len(found.places))
    return found


@given(
    items, st.booleans(), st.booleans(), st.fixed_dictionaries({}, optional={"at": st.just("now")})
)
def test_records_of_items_are_what_a_loop_over_them_finds(
    found: list[Any], absent_is_none: bool, texts: bool, meta: dict[str, str]
) -> None:
    document = {"items": found, "meta": meta}
    spec = PageSpec("items", absent_is_none, shape=EACH)
    decoded, expected = (
        read(document, spec, texts=texts),
        told(document, absent_is_none=absent_is_none),
    )
    assert values(decoded) == expected.good
    assert sorted(reject.index for reject in decoded.rejects) == expected.bad
    assert decoded.facts.count == len(expected.places)
    assert decoded.facts.item_ends == expected.ends
    assert [decoded.place(at) for at in range(decoded.facts.count)] == expected.places
    assert all(each.place == expected.places[each.index] for each in decoded.rejects)


@given(items)
def test_the_text_of_a_record_is_the_whole_record(found: list[Any]) -> None:
    decoded = read({"items": found, "meta": {"at": "now"}}, PageSpec("items", shape=EACH))
    places = decoded.indices or range(len(decoded.records))
    for place, value in zip(places, values(decoded), strict=True):
        record = json.loads(decoded.raw(place))
        assert (record.get("id"), record["at"], record["v"]) == value


def test_a_row_of_many_slices_is_read_whole_and_in_order() -> None:
    found = [{"id": 1, "rows": [{"v": v} for v in range(5_000)]}, {"id": 2, "rows": [{"v": -1}]}]
    spec = PageSpec("items", shape=EACH)
    for texts in (False, True):
        decoded = read({"items": found}, spec, texts=texts)
        assert [value[2] for value in values(decoded)] == [*range(5_000), -1]
        assert decoded.place(5_000) == "items[1].rows[0]"
        assert json.loads(decoded.raw(4_321)) == {"id": 1, "v": 4_321}


def test_a_record_over_its_limit_is_refused_and_one_that_stands_in_a_long_item_is_not() -> None:
    long = [{"v": v, "x": "y" * 60} for v in range(20)]
    spec = PageSpec("items", shape=EACH, record=RecordSpec(record_bytes=100))
    decoded = read({"items": [{"rows": [*long, {"v": 1, "x": "y" * 200}]}]}, spec)
    assert len(decoded.records) == 20
    assert [(each.index, each.code) for each in decoded.rejects] == [(20, "record_too_large")]


def test_a_value_that_a_step_may_change_is_no_ones_but_the_records() -> None:
    kinds = {"type": "array", "items": "long"}
    fields = [{"name": "tags", "type": kinds}, {"name": "v", "type": "long"}]
    plan = compile_plan(parse_schema(json.dumps({"type": "record", "name": "R", "fields": fields})))
    spec = PageSpec("items", shape=Shape(each="rows", keep={"tags": "tags"}))
    body = b'{"items": [{"tags": [1], "rows": [{"v": 1}, {"v": 2}]}]}'
    one, two = at_once(ShapedPages(spec, plan).decode(body)).records
    assert one.f0 == two.f0 == [1] and one.f0 is not two.f0


def test_an_item_that_no_parser_takes_costs_itself_only() -> None:
    deep = b"[" * 5_000 + b"]" * 5_000
    body = b'{"items": [{"rows": [{"v": 1}]}, {"rows": %b}, {"rows": [{"v": 2}]}]}' % deep
    decoded = read(body, PageSpec("items", shape=EACH))
    assert [value[2] for value in values(decoded)] == [1, 2]
    assert [each.code for each in decoded.rejects] == ["no_json"]


# -- what is no page -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "body", "error"),
    [
        (EACH, b'{"items": [{"rows": [', BadBody),
        (EACH, b"", BadBody),
        (EACH, b"hello", BadBody),
        (EACH, b'{"items": {}}', RecordsMissing),
        (EACH, b'{"error": 1}', RecordsMissing),
        (EACH, b'{"items": [], "items": [{"rows": [{"v": 1}]}]}', BadBody),
        (Shape(map_key="id"), b'{"items": {"a": {"v": 1}}, "items": {}}', BadBody),
        (Shape(map_key="id"), b'{"items": "a"}', RecordsMissing),
        (Shape(zip=("v", "id")), b'{"items": {"v": [1], "id": [1, 2]}}', BadBody),
        (Shape(zip=("v", "id")), b'{"items": {"v": [1], "id": 1}}', BadBody),
        (Shape(zip=("v", "id")), b'{"items": 3}', RecordsMissing),
        (Shape(parse=True), b'{"items": "[1"}', BadBody),
        (Shape(parse=True), b'{"items": {"v": 1}}', RecordsMissing),
        (Shape(single=True), b'{"items": 3}', RecordsMissing),
    ],
)
def test_what_holds_no_records_of_the_shape_is_told(
    shape: Shape, body: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        read(body, PageSpec("items", shape=shape))


def test_a_cut_body_is_bad_also_where_the_whole_of_it_is_the_record() -> None:
    with pytest.raises(BadBody):
        read(b'{"v": 1, "rows": [', PageSpec("@", shape=Shape(single=True, envelope={"at": "a"})))


def test_keys_that_stand_twice_among_the_records_are_bad_however_they_are_spaced() -> None:
    shape = Shape(map_key="at")
    once = {"a": {"v": 1}, "b": {"v": 2}}
    for form in ({"indent": 2}, {"separators": (",", ":")}, {}, {"separators": (" ,", ":")}):
        text = json.dumps({"items": once}, **form).encode()  # type: ignore[arg-type]
        assert len(read(text, PageSpec("items", shape=shape)).records) == 2
        with pytest.raises(BadBody, match="'a' stands twice among the records"):
            read(text.replace(b'"b"', b'"a"'), PageSpec("items", shape=shape))


def test_null_in_place_of_the_records_is_no_record_and_said() -> None:
    decoded = read(b'{"items": null, "errors": [1]}', PageSpec("items", shape=EACH))
    assert (decoded.facts.count, decoded.facts.null, decoded.facts.errors) == (0, True, True)
    decoded = read(b'{"items": null}', PageSpec("items", shape=Shape(single=True)))
    assert (decoded.facts.count, decoded.facts.null) == (0, False)


# -- facts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("texts", [False, True])
def test_facts_are_those_of_the_records_and_of_the_page(texts: bool) -> None:
    record = RecordSpec(
        last_paths=("id", "v"), value_path="v", key_paths=("id", "v"), identify=True
    )
    spec = PageSpec("items", body_paths=("meta.next", "none"), record=record, shape=EACH)
    document = {
        "items": [{"id": 1, "rows": [{"v": 5}, {"v": 6}]}, {"id": 2, "rows": []}],
        "meta": {"next": "x", "at": "now"},
    }
    facts = read(document, spec, texts=texts).facts
    assert facts.body == {"meta.next": "x", "none": MISSING}
    assert facts.values == [5, 6] and len(facts.keys) == 2
    assert facts.last == {"id": 2, "v": 6}, "the last item has no records, and an id"
    assert facts.listed == 2


def test_columns_of_one_object_are_counted_as_records_and_those_of_several_as_items() -> None:
    columns = {"v": [1, 2, 3], "id": [1, 2, 3]}
    shape = Shape(zip=("v", "id"))
    one = read({"items": columns}, PageSpec("items", shape=shape))
    several = read({"items": [columns, columns]}, PageSpec("items", shape=shape))
    assert (one.facts.listed, several.facts.listed) == (3, 2)
    assert (one.place(2), several.place(4)) == ("items[2]", "items[1][1]")


def test_places_of_a_map_have_their_keys() -> None:
    decoded = read({"items": {"a.b": {"v": 1}}}, PageSpec("items", shape=Shape(map_key="at")))
    assert decoded.place(0) == 'items["a.b"]'
    decoded = read([{"v": 1}], PageSpec(shape=Shape(envelope={"at": "x"})))
    assert decoded.place(0) == "$[0]"


# -- which decoder ---------------------------------------------------------------------------------


def test_records_that_are_the_elements_of_an_array_are_read_as_ever() -> None:
    def made(spec: PageSpec) -> Any:
        deps = DecodeDeps(spec, PLAN, "latin1", 1, 1.0, WriterSchemas())
        return pages(Decode(), deps)

    assert isinstance(made(PageSpec("items")), JsonPages)
    assert isinstance(made(PageSpec("items", shape=EACH)), ShapedPages)
