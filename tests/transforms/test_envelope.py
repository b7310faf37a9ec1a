"""Values of the page in expressions."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import fastavro
import msgspec
import pytest
from transforms.test_expression import NOW_US, plan_of

from worker.core.errors import ConfigError
from worker.schema import parse_schema
from worker.schema.encoding import AvroRows
from worker.transforms.context import Contexts
from worker.transforms.steps import compile_steps

FIELDS = {"id": "long", "made": ["null", "string"], "count": "long"}


def out(steps: Sequence[tuple[str, Any]], fields: dict[str, Any] = FIELDS, **record: Any) -> Any:
    """The field `out` of a record behind the steps."""
    plan = plan_of(fields)
    kind = ["null", "string"]
    document = {"type": "record", "name": "O", "fields": [{"name": "out", "type": kind}]}
    output = parse_schema(json.dumps(document))
    contexts = Contexts("p", envelope=("made", "count", "lacking"))
    shape = compile_steps(
        plan, [*steps, ("select", ["out"])], output, AvroRows(output), contexts=contexts
    )
    typed = msgspec.json.decode(msgspec.json.encode([record]), type=list[plan.record_type])
    assert not plan.finish(typed)
    found = shape(typed, NOW_US)
    row: Any = fastavro.schemaless_reader(io.BytesIO(found.chunks[0][2]), output.document, None)
    return row["out"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("envelope.made", "noon"),
        ("str(envelope.count + id)", "8"),
        ("context.envelope.made", "noon"),
        ("'early' if envelope.count > 100 else envelope.made", "noon"),
    ],
)
def test_a_value_of_the_page_has_its_type(expression: str, expected: Any) -> None:
    assert out([("set", {"out": expression})], id=1, made="noon", count=7) == expected


@pytest.mark.parametrize(
    "before",
    [("drop", ["made"]), ("set", {"made": "'changed'"}), ("rename", {"made": "other"})],
)
def test_it_is_what_came_whatever_a_step_made_of_its_field(before: tuple[str, Any]) -> None:
    steps = [before, ("set", {"out": "envelope.made"})]
    assert out(steps, id=1, made="noon", count=7) == "noon"


def test_a_value_that_the_page_lacks_is_null() -> None:
    steps = [("set", {"out": "'none' if envelope.made is null else 'some'"})]
    assert out(steps, id=1, count=7) == "none"


def test_a_field_of_that_name_hides_it() -> None:
    inner = {"type": "record", "name": "E", "fields": [{"name": "made", "type": "string"}]}
    fields = FIELDS | {"envelope": inner}
    record = {"id": 1, "made": "noon", "count": 7, "envelope": {"made": "mine"}}
    assert out([("set", {"out": "envelope.made"})], fields, **record) == "mine"
    assert out([("set", {"out": "context.envelope.made"})], fields, **record) == "noon"


@pytest.mark.parametrize("name", ["mad", "lacking"])
def test_another_name_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        out([("set", {"out": f"envelope.{name}"})], id=1, count=7)
    assert "envelope.count, envelope.made" in caught.value.remedy
