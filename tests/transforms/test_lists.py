"""Values for lists of other pipelines, and values of partitions in steps and routes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from worker.core.errors import ConfigError
from worker.core.found import Wanted
from worker.core.ports import Shaping
from worker.schema import compile_plan, parse_schema
from worker.schema.encoding import AvroRows
from worker.schema.plan import FieldInfo, field_infos
from worker.transforms.context import Contexts
from worker.transforms.routes import route_parts
from worker.transforms.steps import compile_steps

DATE = {"type": "int", "logicalType": "date"}
FIELDS = [
    {"name": "id", "type": "string"},
    {"name": "n", "type": ["null", "long"], "default": None},
    {"name": "day", "type": ["null", DATE], "default": None},
    {"name": "flag", "type": ["null", "boolean"], "default": None},
    {"name": "x", "type": ["null", "double"], "default": None},
    {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
    {
        "name": "in",
        "type": [
            "null",
            {"type": "record", "name": "In", "fields": [{"name": "key", "type": "string"}]},
        ],
        "default": None,
    },
]
TEXT = FieldInfo("", "string", None, nullable=False)


def shaped(
    records: list[Any],
    *wanted: Wanted,
    steps: list[Any] | None = None,
    fields: list[Any] | None = None,
    partition_by: str = "",
    values: dict[str, str] | None = None,
) -> Shaping:
    schema = parse_schema(
        orjson.dumps({"type": "record", "name": "R", "fields": [*FIELDS, *(fields or [])]})
    )
    plan = compile_plan(schema)
    infos = field_infos(schema) | {f"partition.{name}": TEXT for name in values or {}}
    shape = compile_steps(
        plan,
        steps or [],
        schema,
        AvroRows(schema),
        route_parts(partition_by, infos) if partition_by else (),
        contexts=Contexts("p", {"it": values or {}}, tuple(values or {})),
        lists=wanted,
    )
    return shape([plan.one(orjson.dumps(each)) for each in records], 1_700_000_000_000_000, "it")


def wanted(field: str, *carry: str) -> Wanted:
    return Wanted(field, carry, "child")


@pytest.mark.parametrize(
    ("field", "values", "texts"),
    [
        ("id", ["a", "b c", ""], ["a", "b c"]),
        ("n", [7, -3, None], ["7", "-3"]),
        ("day", ["2024-02-29", None], ["2024-02-29"]),
        ("flag", [True, False, None], ["true", "false"]),
        ("in.key", [{"key": "k"}, None], ["k"]),
    ],
)
def test_a_value_is_taken_as_text_and_null_and_empty_text_are_none(
    field: str, values: list[Any], texts: list[str]
) -> None:
    top = field.split(".")[0]
    records = [{"id": "x", top: value} for value in values]
    found = shaped(records, wanted(field)).found
    assert [(each.list, each.value) for each in found] == [(field, text) for text in texts]


def test_what_is_carried_goes_with_the_value_and_null_is_empty() -> None:
    records = [{"id": "a", "n": 1, "in": {"key": "k"}}, {"id": "b"}]
    found = shaped(records, wanted("id", "n", "in.key"), wanted("id")).found
    assert [(each.list, each.value, each.carried) for each in found] == [
        ("id,n,in.key", "a", ("1", "k")),
        ("id", "a", ()),
        ("id,n,in.key", "b", ("", "")),
        ("id", "b", ()),
    ]


def test_a_record_that_is_filtered_or_refused_names_nobody() -> None:
    records = [{"id": "a", "n": 0}, {"id": "b", "n": 1}, {"id": "c", "n": 5}]
    steps = [("filter", "10 // n > 2")]
    shaping = shaped(records, wanted("id"), steps=steps)
    assert [each.value for each in shaping.found] == ["b"]
    assert (len(shaping.refused), shaping.filtered) == (1, 1)


def test_a_digest_is_that_of_the_record_as_it_came() -> None:
    records = [{"id": "a", "n": 1}, {"id": "a", "n": 1, "other": 2}, {"id": "a", "n": 2}]
    plain = [each.digest for each in shaped(records, wanted("id")).found]
    assert plain[0] == plain[1] != plain[2]
    assert len(plain[0]) == 16
    steps = [("set", {"n": "n + len(id)"})]
    assert [each.digest for each in shaped(records, wanted("id"), steps=steps).found] == plain


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("idd", "in idd, which is no field of the output"),
        ("in.nokey", "in the field 'in.nokey', which the records lack"),
        ("id.key", "in the field 'id.key', which the records lack"),
        ("x", "in the field 'x', which is number"),
        ("tags", "in the field 'tags', which is array of text"),
        ("in", "in the field 'in', which is record"),
    ],
)
def test_a_field_that_has_no_values_is_refused_with_who_looks_for_it(field: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        shaped([], wanted(field))
    assert f"pipeline child finds partitions {said}" in str(raised.value)


def test_nothing_is_taken_where_nobody_looks() -> None:
    assert shaped([{"id": "a"}]).found == ()


# -- values of partitions --------------------------------------------------------------------------


def rows(**given: Any) -> Shaping:
    return shaped([{"id": "a", "n": 1}], values={"repo": "r/1", "owner": "o"}, **given)


def test_a_step_and_a_route_have_the_values_of_the_partition() -> None:
    steps = [("filter", "partition.owner == 'o'"), ("set", {"id": "partition.repo + id"})]
    shaping = rows(steps=steps, partition_by="of={partition.repo}/{id}")
    assert [route for route, *_ in shaping.chunks] == ["of=r%2F1/r%2F1a"]


def test_a_field_hides_the_values_which_context_still_has() -> None:
    fields = [{"name": "partition", "type": "string", "default": "mine"}]
    with pytest.raises(ConfigError, match="partition is text, it has no fields"):
        rows(fields=fields, steps=[("set", {"id": "partition.repo"})])
    steps = [("filter", "partition == 'mine' and context.partition.repo == 'r/1'")]
    assert rows(fields=fields, steps=steps).filtered == 0


@pytest.mark.parametrize("text", ["partition.rep", "context.partition.rep"])
def test_a_value_that_there_is_not_is_named_with_those_there_are(text: str) -> None:
    with pytest.raises(ConfigError, match=r"no 'partition\.rep'.*partition\.repo"):
        rows(steps=[("set", {"id": text})])


def test_a_record_of_a_partition_that_is_not_known_any_more_is_a_reject() -> None:
    schema = parse_schema(orjson.dumps({"type": "record", "name": "R", "fields": FIELDS}))
    plan = compile_plan(schema)
    contexts = Contexts("p", {}, ("repo",))
    steps = [("set", {"id": "partition.repo"})]
    shape = compile_steps(plan, steps, schema, AvroRows(schema), contexts=contexts)
    shaping = shape([plan.one(b'{"id": "a"}')], 0, "gone")
    [(_, why)] = shaping.refused
    assert (why.code, why.stage) == ("partition_unknown", "transform")
