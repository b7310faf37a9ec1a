"""`python:` steps: what is refused before anything runs, and what a function may do without ending
more than its record.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson
import pytest

from worker.core.errors import ConfigError
from worker.core.ports import InvalidRecord
from worker.schema import DatumReader, compile_plan, parse_schema
from worker.schema.encoding import AvroRows
from worker.schema.logical import TIME_RANGES
from worker.transforms import python
from worker.transforms.context import Context, Contexts
from worker.transforms.kinds import FLOAT, STR
from worker.transforms.natives import checker, converter, kind_checker
from worker.transforms.steps import compile_steps

NUMBERS = itertools.count()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a module and returns its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(text: str) -> str:
        name = f"mine_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\ndef broken(:\n", r".py:2: SyntaxError"),
        ("x = 1\n\n1 / 0\n", r".py:3: ZeroDivisionError"),
        ("import sys\nsys.exit(3)\n", r".py:2: SystemExit"),
        ("import nowhere_to_be_found\n", r".py:1: ModuleNotFoundError"),
        ("f = 5\n", "is no function"),
        ("", "has no f"),
        ("async def f(record): ...\n", "is async"),
        ("async def f(record):\n    yield record\n", "is async"),
        ("def f(record):\n    yield record\n", "is a generator"),
        ("class C:\n    async def __call__(self, record): ...\nf = C()\n", "is async"),
        ("def f(): ...\n", "one positional argument"),
        ("def f(record, other): ...\n", "one positional argument"),
        ("def f(*, record): ...\n", "one positional argument"),
        ("def f(context): ...\n", "one positional argument"),
        ("def f(record, context, more): ...\n", "one positional argument"),
    ],
)
def test_what_can_never_work_is_refused_with_its_place(module: Any, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        python.load(f"{module(text)}:f", "transforms[2].python")
    assert caught.value.where == "transforms[2].python"
    assert caught.value.remedy


def test_a_module_that_is_not_there(module: Any) -> None:
    for path in ("nowhere_to_be_found:f", "nowhere_to_be_found.inner:f"):
        with pytest.raises(ConfigError, match="No module named") as caught:
            python.load(path, "transforms[0].python")
        assert "PYTHONPATH" in caught.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        "def f(record, more=1): ...\n",
        "def f(*all): ...\n",
        "def f(record, context): ...\n",
        "def f(record, *, context=None): ...\n",
        "f = dict\n",
        "class C:\n    def __call__(self, record): ...\nf = C()\n",
    ],
)
def test_what_takes_one_argument_is_taken(module: Any, text: str) -> None:
    assert callable(python.load(f"{module(text)}:f", "transforms[0].python"))


@pytest.mark.parametrize(
    "raised",
    ["SystemExit(3)", "KeyboardInterrupt", "GeneratorExit", "MemoryError", "ValueError('secret')"],
)
def test_whatever_a_function_raises_rejects_its_record_only(module: Any, raised: str) -> None:
    function = python.load(
        f"{module(f'def f(record):{chr(10)}    raise {raised}{chr(10)}')}:f", "transforms[0].python"
    )
    with pytest.raises(InvalidRecord) as caught:
        python._caller(function, "step", {}, {})({"id": 1})
    assert caught.value.code == "python_error"
    assert "secret" not in str(caught.value.errors)


@pytest.mark.parametrize(
    ("value", "said"),
    [(float("nan"), "not a number (NaN)"), (float("inf"), "infinity"), (float("-inf"), "infinity")],
)
def test_numbers_that_are_none_are_named(value: float, said: str) -> None:
    schema = parse_schema(
        orjson.dumps({"type": "record", "name": "R", "fields": [{"name": "x", "type": "double"}]})
    )
    for check in (checker(schema.root.fields[0].type, schema), kind_checker(FLOAT, nullable=False)):
        with pytest.raises(InvalidRecord) as caught:
            check(value, "$.x")
        assert [(each.path, each.found) for each in caught.value.errors] == [("$.x", said)]


@pytest.mark.parametrize(
    ("logical", "kind", "number", "allowed"),
    [
        ("date", "int", -(10**7), "years 1 to 9999"),
        ("date", "int", 2**31 - 1, "years 1 to 9999"),
        ("timestamp-millis", "long", 2**62, "years 1 to 9999"),
        ("timestamp-micros", "long", 2**62, "years 1 to 9999"),
        ("time-millis", "int", 86_400_000, "one day"),
        ("time-micros", "long", -1, "one day"),
    ],
)
def test_a_number_that_no_native_object_reaches_rejects_its_record_only(
    logical: str, kind: str, number: int, allowed: str
) -> None:
    schema = parse_schema(
        orjson.dumps(
            {
                "type": "record",
                "name": "R",
                "fields": [{"name": "x", "type": {"type": kind, "logicalType": logical}}],
            }
        )
    )
    convert = converter(schema.root.fields[0].type, schema, native=True)
    with pytest.raises(InvalidRecord) as caught:
        convert(number)
    assert allowed in caught.value.errors[0].allowed


def test_nanoseconds_stay_whole_numbers_because_a_datetime_would_cut_them() -> None:
    schema = parse_schema(
        orjson.dumps(
            {
                "type": "record",
                "name": "R",
                "fields": [
                    {"name": "x", "type": {"type": "long", "logicalType": "timestamp-nanos"}}
                ],
            }
        )
    )
    kind = schema.root.fields[0].type
    assert (
        checker(kind, schema)(
            converter(kind, schema, native=True)(1_700_000_000_123_456_789), "$.x"
        )
        == 1_700_000_000_123_456_789
    )


def test_what_holds_itself_or_is_nested_without_end_rejects_its_record_only(module: Any) -> None:
    fields = [
        {
            "name": "n",
            "type": [
                "null",
                {"type": "record", "name": "N", "fields": [{"name": "n", "type": ["null", "N"]}]},
            ],
        }
    ]
    schema = parse_schema(orjson.dumps({"type": "record", "name": "R", "fields": fields}))
    function = python.load(
        module('def f(record):\n    record["n"] = record\n    return record\n') + ":f",
        "transforms[0].python",
    )
    with pytest.raises(InvalidRecord) as caught:
        python._caller(function, "step", {}, {"n": checker(schema.root.fields[0].type, schema)})(
            {"n": None}
        )
    assert caught.value.code == "python_result"


@pytest.mark.parametrize("method", ["get", "keys"])
def test_a_dict_whose_own_methods_raise_rejects_its_record_only(module: Any, method: str) -> None:
    text = f"class Odd(dict):\n    def {method}(self, *given):\n        raise OSError('gone')\ndef f(record):\n    return Odd(record)\n"
    function = python.load(module(text) + ":f", "transforms[0].python")
    with pytest.raises(InvalidRecord) as caught:
        python._caller(function, "step", {}, {"n": kind_checker(STR, nullable=False)})({"n": "x"})
    assert caught.value.code == "python_result"
    assert caught.value.errors[0].found == "OSError was raised by the Odd that was returned"


def test_text_with_a_lone_surrogate_is_refused_wherever_it_stands() -> None:
    schema = parse_schema(
        orjson.dumps(
            {
                "type": "record",
                "name": "R",
                "fields": [{"name": "m", "type": {"type": "map", "values": "int"}}],
            }
        )
    )
    for check, value in (
        (checker(schema.root.fields[0].type, schema), {"\ud800": 1}),
        (kind_checker(STR, nullable=False), "\ud800"),
    ):
        with pytest.raises(InvalidRecord) as caught:
            check(value, "$.m")
        assert caught.value.errors[0].allowed == "text without lone surrogates"


# -- what is left out, and the context ---------------------------------------------------------

POINT = {"type": "record", "name": "P", "fields": [{"name": "v", "type": "long"}]}
INCOMING = [
    {"name": "id", "type": "long"},
    {"name": "points", "type": {"type": "array", "items": POINT}},
    {"name": "note", "type": ["null", "string"]},
]
OUTGOING = [{"name": "id", "type": "long"}, {"name": "v", "type": ["null", "long"]}]


def shaped(steps: list[Any], **more: Any) -> Any:
    """(records, rejects) of a record with two points after these steps."""
    plan, output = (
        compile_plan(parse_schema(orjson.dumps({"type": "record", "name": "R", "fields": fields})))
        for fields in (INCOMING, OUTGOING)
    )
    record = plan.one(b'{"id": 7, "points": [{"v": 1}, {"v": 2}]}')
    shape = compile_steps(plan, steps, output.schema, AvroRows(output.schema), **more)
    found = shape([record], 1_700_000_000_000_000, "tenant=a")
    rows, read = [], DatumReader(output.schema)
    for _, count, data in found.chunks:
        datums, _, _ = read.several(data, 0, count, [0, 0, 0])
        rows += datums
    return rows, [error for _, refused in found.refused for error in refused.errors], found


def test_a_function_may_leave_out_what_came_in_and_is_not_in_the_output(module: Any) -> None:
    text = (
        "def f(record):\n"
        "    return [{'id': record['id'], 'v': each['v']} for each in record['points']]\n"
    )
    rows, errors, found = shaped([("python", config(f"{module(text)}:f"))])
    assert rows == [{"id": 7, "v": 1}, {"id": 7, "v": 2}]
    assert (errors, found.expanded) == ([], 1)


def test_what_one_function_left_out_is_not_there_for_the_next(module: Any) -> None:
    name = module(
        "def f(record):\n    return {'id': record['id']}\n"
        "def g(record):\n    return {'id': len(record), 'v': 'points' in record}\n"
        "def h(record):\n    return {**record, 'v': len(record)}\n"
    )
    steps = [("python", config(f"{name}:{each}")) for each in "fh"]
    rows, errors, _ = shaped(steps)
    assert (rows, errors) == ([{"id": 7, "v": 3}], [])  # id, v and note, which is null
    rename = ("rename", {"points": "places"})
    rows, errors, _ = shaped([steps[0], rename, steps[1], ("drop", ("places",))])
    assert (rows, errors) == ([{"id": 7, "v": 3}], [])


@pytest.mark.parametrize(
    "step",
    [("filter", "len(points) > 0"), ("set", {"v": "len(points)"})],
)
def test_a_step_that_needs_what_was_left_out_rejects_the_record(module: Any, step: Any) -> None:
    name = module("def f(record):\n    return {'id': record['id']}\n")
    rows, errors, _ = shaped([("python", config(f"{name}:f")), step])
    assert rows == []
    assert [(each.path, each.found) for each in errors] == [
        ("$.points", "a field that was left out")
    ]


def test_what_the_output_needs_cannot_be_left_out(module: Any) -> None:
    name = module("def f(record):\n    return {'v': 1}\n")
    rows, errors, _ = shaped([("python", config(f"{name}:f"))])
    assert rows == []
    assert [(each.path, each.found) for each in errors] == [("$.id", "null")]


@pytest.mark.parametrize("returned", ["None", "[]"])
def test_none_and_no_record_are_counted_as_filtered(module: Any, returned: str) -> None:
    name = module(f"def f(record):\n    return {returned}\n")
    rows, errors, found = shaped([("python", config(f"{name}:f"))])
    assert (rows, errors, found.filtered) == ([], [], 1)


@pytest.mark.parametrize("parameters", ["record, context", "record, *, context", "r, context=None"])
def test_a_function_is_told_where_the_record_came_from(module: Any, parameters: str) -> None:
    name = module(
        f"SEEN = []\ndef f({parameters}):\n    SEEN.append(context)\n    return {{'id': 1}}\n"
    )
    told = Contexts("items", {"tenant=a": {"tenant": "a"}, "tenant=b": {"tenant": "b"}})
    rows, errors, _ = shaped([("python", config(f"{name}:f"))], contexts=told)
    assert (len(rows), errors) == (1, [])
    [context] = import_module(name).SEEN
    assert context == Context(
        "items", {"tenant": "a"}, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    )
    with pytest.raises(TypeError):
        context.partition["tenant"] = "b"
    with pytest.raises(AttributeError):
        context.pipeline = "other"
    assert told("gone", 0).partition == {}


def config(function: str) -> python.PythonConfig:
    return python.PythonConfig(function=function)


@pytest.mark.parametrize("logical", TIME_RANGES)
def test_a_number_beyond_the_range_of_its_time_rejects_its_record_only(logical: str) -> None:
    low, high = TIME_RANGES[logical]
    kind = {"type": "int" if logical in ("date", "time-millis") else "long", "logicalType": logical}
    fields = [{"name": "x", "type": {"type": "array", "items": ["null", kind]}}]
    schema = parse_schema(orjson.dumps({"type": "record", "name": "R", "fields": fields}))
    check = checker(schema.root.fields[0].type, schema)
    assert check([low, high, None], "$.x") == [low, high, None]
    for beyond in (low - 1, high + 1):
        with pytest.raises(InvalidRecord) as caught:
            check([beyond], "$.x")
        assert caught.value.errors[0].path == "$.x[0]"
