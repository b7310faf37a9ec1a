"""Expressions: compiled ones against a slow interpreter, and everything that must be refused when
the config is loaded.
"""

from __future__ import annotations

import ast
import io
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.errors import ConfigError
from worker.schema import compile_plan, parse_schema
from worker.schema.encoding import AvroRows
from worker.transforms.steps import compile_steps

TIMESTAMP = {"type": "long", "logicalType": "timestamp-millis"}
SCHEMA = {
    "type": "record",
    "name": "R",
    "fields": [
        {"name": "i", "type": "long"},
        {"name": "j", "type": ["null", "int"]},
        {"name": "x", "type": "double"},
        {"name": "y", "type": ["null", "double"]},
        {"name": "s", "type": "string"},
        {"name": "t", "type": ["null", "string"]},
        {"name": "b", "type": "boolean"},
        {"name": "c", "type": ["null", "boolean"]},
        {"name": "at", "type": TIMESTAMP},
        {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
        {
            "name": "u",
            "type": [
                "null",
                {
                    "type": "record",
                    "name": "U",
                    "fields": [
                        {"name": "n", "type": ["null", "int"]},
                        {"name": "m", "type": "string"},
                    ],
                },
            ],
        },
        {"name": "l", "type": {"type": "array", "items": "int"}},
        {"name": "w", "type": ["int", "string", "boolean"]},
    ],
}
PLAN = compile_plan(parse_schema(json.dumps(SCHEMA)))
RECORD: dict[str, Any] = {
    "i": 7, "j": None, "x": 1.5, "y": -2.0, "s": " Ab ", "t": None, "b": True, "c": None, "at": "2024-05-06T07:08:09.123Z", "day": "2024-02-29",
    "e": "A", "u": {"n": None, "m": "z"}, "l": [1, 2], "w": "text",
}  # fmt: skip
AT = datetime(2024, 5, 6, 7, 8, 9, 123_000, UTC)
NEW_YEAR = datetime(2024, 1, 1, 0, 0, 0, 500_000, UTC)
NOW_US = 1_700_000_000_123_456


def outcome(expression: str, record: dict[str, Any], kind: Any, *, errors: bool = False) -> Any:
    """The value that `set` gives a field of type `kind`; the code of the reject when it rejects, or
    its `errors`."""
    return outcome_with(PLAN, expression, record, kind, errors=errors)


def plan_of(kinds: dict[str, Any]) -> Any:
    fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
    return compile_plan(parse_schema(json.dumps({"type": "record", "name": "R", "fields": fields})))


def outcome_of(expression: str, record: dict[str, Any], kinds: dict[str, Any]) -> Any:
    """The same for a record of other fields; the kind of the result is the one that fits."""
    plan = plan_of(kinds)
    for kind in ("long", "double", "boolean", "string"):
        try:
            return outcome_with(plan, expression, record, ["null", kind])
        except ConfigError:
            continue
    raise AssertionError(expression)


def outcome_with(
    plan: Any,
    expression: str,
    record: dict[str, Any],
    kind: Any,
    before: Sequence[tuple[str, Any]] = (),
    *,
    errors: bool = False,
) -> Any:
    output = parse_schema(
        json.dumps({"type": "record", "name": "O", "fields": [{"name": "out", "type": kind}]})
    )
    shape = compile_steps(
        plan,
        [*before, ("set", {"out": expression}), ("select", ["out"])],
        output,
        AvroRows(output),
    )
    typed = msgspec.json.decode(msgspec.json.encode([record]), type=list[plan.record_type])
    assert not plan.finish(typed)
    found = shape(typed, NOW_US)
    if found.refused:
        refused = found.refused[0][1]
        return refused.errors if errors else refused.code
    assert found.chunks[0][1] == 1
    row: Any = fastavro.schemaless_reader(io.BytesIO(found.chunks[0][2]), output.document, None)
    return row["out"]


@pytest.mark.parametrize(
    "text",
    [
        "2024_01",
        "1_000",
        "1_0",
        "\u0663",
        "\uff11",
        "",
        " ",
        "\u00a05",
        "0x1",
        "1 2",
        "1,000",
        "--1",
        "5.0",
        "1e3",
        "+",
        "\t",
        "1" * 5000,
    ],
)
def test_int_takes_no_text_that_is_no_whole_number(text: str) -> None:
    assert outcome("int(s)", {**RECORD, "s": text}, "long") == "conversion"


@pytest.mark.parametrize(
    "text",
    [
        "1_0",
        "1_0.5",
        "1e1_0",
        "\u0663.\u0665",
        "nan",
        "inf",
        "-Infinity",
        ".",
        "e5",
        "1,5",
        "",
        "0x1p3",
    ],
)
def test_float_takes_no_text_that_is_no_number(text: str) -> None:
    assert outcome("float(s)", {**RECORD, "s": text}, "double") == "conversion"


@given(number=st.integers(-(2**63), 2**63 - 1), sign=st.sampled_from(["", "+", "0", "-", " "]))
def test_int_reads_the_text_of_every_long(number: int, sign: str) -> None:
    text = f"{sign}{abs(number)} "
    wanted = -abs(number) if sign == "-" else abs(number)
    found = outcome("int(s)", {**RECORD, "s": text}, "long")
    assert found == (wanted if wanted < 2**63 else "overflow")


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_float_reads_the_text_of_every_double(number: float) -> None:
    assert outcome("float(s)", {**RECORD, "s": f" {number!r} "}, "double") == number


@pytest.mark.parametrize("spelled", ["1E+3", "1000", "1000.0", '"1e3"', '"1000.00"'])
def test_equal_decimals_are_equal_texts_and_hashes(spelled: str) -> None:
    kinds = [
        {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": scale}
        for scale in (2, 0, 3)
    ]
    record = {name: msgspec.Raw(spelled.encode()) for name in "def"}
    fields = dict(zip("def", kinds, strict=True))
    for expression, text in {
        "str(d)": "1000.00",
        "str(e)": "1000",
        "str(f)": "1000.000",
        "hash(str(d))": sha256(b"1000.00").hexdigest(),
        "str(coalesce(d, f))": "1000.00",
    }.items():
        assert outcome_of(expression, record, fields) == text


def test_a_decimal_beside_one_of_a_smaller_scale_keeps_its_digits_as_text() -> None:
    price = {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 1}
    fields = {"d": ["null", price], "e": {**price, "scale": 3}}
    assert outcome_of("str(coalesce(d, e))", {"e": "1.125"}, fields) == "1.125"


RECORDS = [
    {"type": "record", "name": name, "fields": [{"name": field, "type": "long"}]}
    for name, field in (("A", "a"), ("B", "b"))
]
WIDE: list[tuple[list[Any], Any]] = [
    (["null", "long", "string"], 5),
    (["long", "string", "null"], "x"),
    (["null", "double", "boolean", "string"], False),
    (["null", *RECORDS], {"b": 1}),
    (["null", "string", TIMESTAMP], "2024-05-06T07:08:09Z"),
]


@pytest.mark.parametrize(("union", "value"), WIDE)
@pytest.mark.parametrize("place", ["u", "r.w"])
def test_null_in_a_union_of_several_types_is_null(union: Any, value: Any, place: str) -> None:
    holder = {"type": "record", "name": "Q", "fields": [{"name": "w", "type": union}]}
    kinds = {"u": union} if place == "u" else {"r": ["null", holder]}
    given = {"u": value} if place == "u" else {"r": {"w": value}}
    nulls: list[dict[str, Any]] = [{}, {"u": None}] if place == "u" else [{"r": {"w": None}}, {}]
    for record, has_value in ((given, True), *((each, False) for each in nulls)):
        assert outcome_of(f"{place} is not null", record, kinds) is has_value
        assert outcome_of(f"{place} is null", record, kinds) is not has_value
        assert outcome_of(f"coalesce({place}, {place}) is null", record, kinds) is not has_value
        assert outcome_of(f"({place} if true else null) is null", record, kinds) is not has_value
        assert outcome_of(f"'n' if {place} is null else 'v'", record, kinds) == "nv"[has_value]
        for comparison in (f"{place} == {place}", f"{place} in [{place}]"):
            assert outcome_of(comparison, record, kinds) is (True if has_value else None)


@pytest.mark.parametrize("expression", ["u == v", "u in [v]", "coalesce(u, v) is null"])
def test_unions_of_other_types_or_in_another_order_are_not_compared(expression: str) -> None:
    fields = {"u": ["null", "long", "string"], "v": ["long", "string", "null"]}
    same = {"u": fields["u"], "v": fields["u"]}
    assert outcome_of(expression, {"u": 5, "v": 5}, same) is (expression[:2] != "co")
    with pytest.raises(ConfigError, match=r"union of null, whole number, text"):
        outcome_with(plan_of(fields), expression, {"u": 5, "v": 5}, "boolean")


@pytest.mark.parametrize(("union", "value"), WIDE)
def test_a_union_of_several_types_goes_out_as_it_came_when_expressions_saw_it(
    union: Any, value: Any
) -> None:
    schema = parse_schema(
        json.dumps({"type": "record", "name": "R", "fields": [{"name": "u", "type": union}]})
    )
    plan = compile_plan(schema)
    for record, kept in (({"u": value}, "u is not null"), ({"u": None}, "u is null")):
        rows = []
        for steps in ([], [("filter", kept)]):
            shape = compile_steps(plan, steps, schema, AvroRows(schema))
            typed = msgspec.json.decode(json.dumps([record]), type=list[plan.record_type])
            assert not plan.finish(typed)
            rows.append(shape(typed, NOW_US).chunks)
        assert rows[0] == rows[1] != []


@pytest.mark.parametrize(
    ("expression", "kind", "value"),
    [
        ("i + 1", "long", 8),
        ("i / 2", "double", 3.5),
        ("i // 2 + i % 4", "int", 6),
        ("-i", "int", -7),
        ("j + 1", ["null", "int"], None),
        ("coalesce(j, i, 3)", "long", 7),
        ("coalesce(t, 'none')", "string", "none"),
        ("l in [l]", "boolean", True),
        ("l in []", "boolean", False),
        ("u not in [u]", "boolean", False),
        ("x * y", ["null", "double"], -3.0),
        ("i / 0", "double", "division_by_zero"),
        ("i % (i - 7)", "int", "division_by_zero"),
        ("i * 9223372036854775807", "long", "overflow"),
        ("x * 1e308 * 10.0", "double", "overflow"),
        ("i * 1000000000", "int", "output"),
        ("j", "int", "output"),
        ("s + 'c'", "string", " Ab c"),
        ("upper(trim(s))", "string", "AB"),
        ("lower(s)", "string", " ab "),
        ("len(s)", "int", 4),
        ("len(l)", "int", 2),
        ("abs(y)", ["null", "double"], 2.0),
        ("round(x)", "int", 2),
        ("round(2.345, 2)", "double", 2.35),
        ("int('12')", "int", 12),
        ("int(s)", "int", "conversion"),
        ("int(x)", "int", 1),
        ("float('1e999')", "double", "overflow"),
        ("float(i)", "double", 7.0),
        ("str(i)", "string", "7"),
        ("str(b)", "string", "true"),
        ("str(at)", "string", "2024-05-06T07:08:09.123Z"),
        ("str(day)", ["null", "string"], "2024-02-29"),
        (
            "date(at)",
            {"type": "int", "logicalType": "date"},
            __import__("datetime").date(2024, 5, 6),
        ),
        ("hour(at)", "int", 7),
        (
            "now_received()",
            TIMESTAMP,
            __import__("datetime").datetime(
                2023, 11, 14, 22, 13, 20, 123000, __import__("datetime").UTC
            ),
        ),
        ("str(timestamp('2024-05-06T09:08:09+02:00'))", "string", "2024-05-06T07:08:09Z"),
        ("str(timestamp('06.05.2024', '%d.%m.%Y'))", "string", "2024-05-06T00:00:00Z"),
        (
            "str(timestamp('06.05.2024 01:30', '%d.%m.%Y %H:%M', 'Europe/Berlin'))",
            "string",
            "2024-05-05T23:30:00Z",
        ),
        ("str(timestamp(1714979289, 'epoch_s'))", "string", "2024-05-06T07:08:09Z"),
        ("str(timestamp('1714979289123', 'epoch_ms'))", "string", "2024-05-06T07:08:09.123000Z"),
        (
            "str(timestamp(1714979289123456789, 'epoch_ns'))",
            "string",
            "2024-05-06T07:08:09.123456Z",
        ),
        ("str(timestamp(x, 'epoch_s'))", "string", "1970-01-01T00:00:01.500000Z"),
        ("str(timestamp(day))", ["null", "string"], "2024-02-29T00:00:00Z"),
        ("timestamp(at) == at", "boolean", True),
        ("timestamp(t)", ["null", TIMESTAMP], None),
        (
            "timestamp(i, 'epoch_s')",
            TIMESTAMP,
            __import__("datetime").datetime(1970, 1, 1, 0, 0, 7, tzinfo=__import__("datetime").UTC),
        ),
        ("timestamp(s)", TIMESTAMP, "conversion"),
        ("timestamp(s, 'epoch_s')", TIMESTAMP, "conversion"),
        ("timestamp(s, '%Y')", TIMESTAMP, "conversion"),
        ("at > '2024-05-06T07:08:09Z'", "boolean", True),
        ("at > '2024-05-06T09:08:10+02:00'", "boolean", False),
        ("day == '2024-02-29'", ["null", "boolean"], True),
        ("now_received() > at", "boolean", False),
        ("e == 'A'", "boolean", True),
        ("e in ['B', 'C']", "boolean", False),
        ("e", {"type": "enum", "name": "F", "symbols": ["B"]}, "output"),
        ("t in ['a']", ["null", "boolean"], None),
        ("'b' in s", "boolean", True),
        ("i not in [1, 2]", "boolean", True),
        ("i in [j, 7]", ["null", "boolean"], True),
        ("i in [j, 8]", ["null", "boolean"], None),
        ("i not in [j, 8]", ["null", "boolean"], None),
        ("j in [i, 8]", ["null", "boolean"], None),
        ("i in [x, y, 8]", ["null", "boolean"], False),
        ("i + 1 in [x, i + 1]", "boolean", True),
        ("at in [now_received(), '2024-05-06T07:08:09.123Z']", "boolean", True),
        ("'2024-02-29' in [day]", ["null", "boolean"], True),
        ("1 in l", "boolean", True),
        ("i in l", "boolean", False),
        ("j in l", ["null", "boolean"], None),
        ("i not in l", "boolean", True),
        ("'x' if b else null", ["null", "string"], "x"),
        ("at if b else '2024-01-01T00:00:00Z'", TIMESTAMP, AT),
        ("at if c else '2024-01-01T00:00:00.5Z'", TIMESTAMP, NEW_YEAR),
        ("at if b else timestamp(s)", TIMESTAMP, AT),
        ("coalesce(timestamp(t), at)", TIMESTAMP, AT),
        ("coalesce(day, '2024-01-01') == '2024-02-29'", "boolean", True),
        ("c is null", "boolean", True),
        ("c is not null", "boolean", False),
        ("c and b", ["null", "boolean"], None),
        ("c and not b", ["null", "boolean"], False),
        ("c or b", ["null", "boolean"], True),
        ("1 < i < 8", "boolean", True),
        ("'yes' if c else 'no'", "string", "no"),
        ("i if b else x", "double", 7.0),
        ("u.m", ["null", "string"], "z"),
        ("u.n", ["null", "int"], None),
        ("i > -9223372036854775808", "boolean", True),
        ("- 9223372036854775808", "long", -(2**63)),
        ("null", ["null", "int"], None),
        ("null", "int", "output"),
        ("true", "boolean", True),
        ("i", "double", 7.0),
        ("1 is null", "boolean", False),
        ("null is null and 'a' is not null", "boolean", True),
        ("null and null", ["null", "boolean"], None),
        ("c and b and not b", ["null", "boolean"], False),
        ("c or j == 1 or b", ["null", "boolean"], True),
        ("coalesce(j, y, x) < 1", "boolean", True),
        ("round(i * 1317624576693539401, -19) > 0", "boolean", "overflow"),
    ],
)
def test_values(expression: str, kind: Any, value: Any) -> None:
    assert outcome(expression, RECORD, kind) == value


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("missing > 1", "there is no field 'missing'"),
        ("is_ > 1", "there is no field"),
        ("i + s", "whole number + text"),
        ("s > 1", "text is compared with whole number"),
        ("b > c", "boolean has no order"),
        ("s and b", "s is text"),
        ("not i", "i is whole number"),
        ("w == 1", "union of whole number, text, boolean is compared with whole number"),
        ("u.q", "has no field 'q'"),
        ("s.upper", "s is text, it has no fields"),
        ("len(i)", "len(whole number)"),
        ("nope(i)", "there is no function 'nope'"),
        ("len(s, s)", "len() has 2 arguments"),
        ("len(x=s)", "keyword"),
        ("round(x, i)", "round("),
        ("i in [null]", "always null"),
        ("i in i", "whole number in whole number"),
        ("s in l", "text is compared with whole number"),
        ("w in [w, s]", "union of whole number, text, boolean is compared with text"),
        ("i in u", "whole number in record"),
        ("i in [s]", "compared with text"),
        ("i is 3", "`is` compares with null only"),
        ("j == null", "always null"),
        ("i ** 2", "Pow"),
        ("i & 1", "BitAnd"),
        ("~i", "the sign of"),
        ("at > 'yesterday'", "no timestamp"),
        ("timestamp(i) > at", "'epoch_s'"),
        ("timestamp(b, 'epoch_s') > at", "'epoch_s'"),
        ("timestamp(i, '%Y') > at", "strptime"),
        ("timestamp(s, 'soon') > at", "strptime"),
        ("timestamp(s, s) > at", "strptime"),
        ("timestamp(s, '%Y', 'Mars/Olympus') > at", "a zone"),
        ("99999999999999999999 > i", "beyond 64 bits"),
        ("9223372036854775808 > i", "beyond 64 bits"),
        ("-9223372036854775809 < i", "beyond 64 bits"),
        ("i >", "does not parse"),
        ("", "does not parse"),
        ("i\0", "column 1: it "),
        (r"s == '\d'", "invalid escape"),
        (r"s == '\ud800'", "lone surrogate"),
        ("at == '2024-05-06T07:08:09.1231Z'", "finer than the timestamp"),
        ("0 < int(" * 19 + "1" + ") < 5" * 19, "more than 5000 terms"),
        ("(" * 300 + "i" + ")" * 300, "expression"),
        ("+".join(["i"] * 100), "nested more than"),
        ("i" * 5000, "at most 4096"),
        # escape attempts
        ("__import__('os').system('id')", "only functions of the language"),
        ("().__class__", "not part of the expression language"),
        ("s.__class__", "has no fields"),
        ("u.__class__", "has no field '__class__'"),
        ("[x for x in l]", "not part of the expression language"),
        ("lambda: 1", "not part of the expression language"),
        ("(y := 1)", "not part of the expression language"),
        ("f'{i}'", "not part of the expression language"),
        ("l[0]", "not part of the expression language"),
        ("eval('1')", "there is no function 'eval'"),
        ("{'a': 1}", "not part of the expression language"),
        ("await i", "expression"),
        ("b'x'", "a constant of type bytes"),
        ("1j", "a constant of type complex"),
        ("...", "a constant of type ellipsis"),
    ],
)
def test_what_is_refused_says_why(expression: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        outcome(expression, RECORD, ["null", "boolean"])
    assert says in str(caught.value)
    assert caught.value.where.startswith("transforms[0].set")


NANOSECONDS = {"type": "long", "logicalType": "timestamp-nanos"}
MICROSECONDS = {"type": "long", "logicalType": "local-timestamp-micros"}
CLOCK = {"type": "int", "logicalType": "time-millis"}


@pytest.mark.parametrize(
    ("expression", "kind", "digits"),
    [
        ("at == '2024-05-06T07:08:09.1234567891Z'", NANOSECONDS, 9),
        ("at in ['2024-05-06T07:08:09.1234567Z']", {**NANOSECONDS, **TIMESTAMP}, 3),
        ("at == '2024-05-06T07:08:09.1234567'", MICROSECONDS, 6),
        ("at < '07:08:09.1239'", CLOCK, 3),
        ("coalesce(at, '07:08:09.0001') == at", ["null", CLOCK], 3),
    ],
)
def test_a_constant_that_is_finer_than_its_field_is_refused(
    expression: str, kind: Any, digits: int
) -> None:
    plan = plan_of({"at": kind})
    with pytest.raises(ConfigError) as caught:
        outcome_with(plan, expression, {"at": None}, "boolean")
    assert "is finer than the" in caught.value.message
    assert f"at most {digits} digits" in caught.value.remedy


@pytest.mark.parametrize(
    ("kind", "value", "constant"),
    [
        (NANOSECONDS, 1714979289123456789, "2024-05-06T07:08:09.123456789Z"),
        (NANOSECONDS, 1714979289123456789, "2024-05-06T09:08:09.123456789+02:00"),
        (MICROSECONDS, 1714979289123456, "2024-05-06T07:08:09.123456000"),
        (CLOCK, 25689123, "07:08:09.123"),
        (CLOCK, 25689000, "07:08:09.0000000"),
    ],
)
def test_a_constant_has_all_digits_that_its_field_has(kind: Any, value: int, constant: str) -> None:
    for near, equal in ((value, True), (value + 1, False)):
        assert outcome_of(f"at == '{constant}'", {"at": near}, {"at": kind}) is equal


@pytest.mark.parametrize(
    "expression",
    [
        " or ".join(["c"] * 800),
        " and ".join(["b"] * 500),
        " < ".join(["j"] * 800),
        "c and (" * 38 + "c" + ")" * 38,
        "b or (" * 38 + "c" + ")" * 38,
        "not " * 38 + "c",
        "(" * 37 + "c" + " if c else b)" * 37,
        "coalesce(" * 38 + "c" + ", b)" * 38,
        "coalesce(c, " * 38 + "b" + ")" * 38,
        "coalesce(" + ", ".join(["coalesce(" + ", ".join(["c"] * 20) + ")"] * 20) + ")",
        "abs(" * 36 + "y" + ") " * 36 + "> 1",
        "(" * 36 + "j" + " + y)" * 36 + " > 1",
    ],
    ids=lambda expression: expression[:20],
)
def test_long_and_deeply_nested_expressions_compile_at_once(expression: str) -> None:
    assert outcome(expression, RECORD, ["null", "boolean"]) in (None, True, False)


def test_a_field_that_python_has_a_word_for_can_be_renamed_first() -> None:
    plan = compile_plan(
        parse_schema(
            json.dumps(
                {"type": "record", "name": "R", "fields": [{"name": "from", "type": "string"}]}
            )
        )
    )
    with pytest.raises(ConfigError, match="fields from are words of Python: rename"):
        outcome_with(plan, "from == 'a'", {"from": "a"}, "boolean")
    assert (
        outcome_with(
            plan, "sender == 'a'", {"from": "a"}, "boolean", before=[("rename", {"from": "sender"})]
        )
        is True
    )


def test_a_type_that_never_fits_the_output_is_refused_at_load() -> None:
    with pytest.raises(ConfigError, match="'out' is text, the output schema says int"):
        outcome("s", RECORD, "int")


@pytest.mark.parametrize(
    ("expression", "kind", "remedy"),
    [
        ("s", TIMESTAMP, "convert it with timestamp()"),
        ("i", TIMESTAMP, "timestamp(x, 'epoch_s')"),
        ("s", {"type": "int", "logicalType": "date"}, "convert it with date()"),
        ("s", "long", "convert it with int()"),
        ("s", "double", "convert it with float()"),
        ("i", "string", "convert it with str()"),
        ("s", "boolean", "a comparison"),
        ("s", {"type": "array", "items": "string"}, "use python"),
    ],
)
def test_a_type_that_does_not_fit_is_refused_with_what_makes_one_that_does(
    expression: str, kind: Any, remedy: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        outcome(expression, RECORD, kind)
    assert remedy in caught.value.remedy


# -- against a slow interpreter --------------------------------------------------------------------

NUMBERS = ["i", "j", "x", "y"]
numbers = st.recursive(
    st.sampled_from([*NUMBERS, "0", "1", "2.5", "-3"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(
            lambda each: f"({each[0]} {each[1]} {each[2]})"
        ),
        st.tuples(inner, inner).map(lambda each: f"coalesce({each[0]}, {each[1]})"),
        inner.map(lambda each: f"abs({each})"),
    ),
    max_leaves=5,
)
booleans = st.recursive(
    st.one_of(
        st.sampled_from(
            [
                "b",
                "c",
                "t is null",
                "j is not null",
                "t in ['a', 'b']",
                "s in [t, 'b']",
                "t not in [s]",
                "s == 'a'",
                "t != s",
                "'a' in s",
            ]
        ),
        st.tuples(numbers, st.sampled_from(["in", "not in"]), st.lists(numbers, max_size=3)).map(
            lambda each: f"({each[0]} {each[1]} [{', '.join(each[2])}])"
        ),
        st.tuples(numbers, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), numbers).map(
            lambda each: f"({each[0]} {each[1]} {each[2]})"
        ),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda each: f"({each[0]} {each[1]} {each[2]})"
        ),
        inner.map(lambda each: f"(not {each})"),
        st.tuples(inner, inner, inner).map(lambda each: f"({each[0]} if {each[1]} else {each[2]})"),
    ),
    max_leaves=6,
)
small = st.integers(-5, 5)
records = st.fixed_dictionaries(
    {
        "i": small,
        "j": st.none() | small,
        "x": small.map(float),
        "y": st.none() | small.map(lambda each: each / 2),
        "s": st.sampled_from(["a", "b", ""]),
        "t": st.none() | st.sampled_from(["a", "b", "c"]),
        "b": st.booleans(),
        "c": st.none() | st.booleans(),
    }
)


class Rejected(Exception):
    pass


def interpret(node: Any, record: dict[str, Any]) -> Any:
    """What an expression means, node by node; None is null."""
    match node:
        case ast.Expression(body=body):
            return interpret(body, record)
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return record[name]
        case ast.BoolOp(op=ast.And(), values=[left, right]):
            return conjunction(interpret(left, record), lambda: interpret(right, record))
        case ast.BoolOp(op=ast.Or(), values=[left, right]):
            found = conjunction(
                negation(interpret(left, record)), lambda: negation(interpret(right, record))
            )
            return negation(found)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return negation(interpret(operand, record))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -interpret(operand, record)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return interpret(body if interpret(test, record) is True else orelse, record)
        case ast.Call(func=ast.Name(id="abs"), args=[inner]):
            value = interpret(inner, record)
            return None if value is None else abs(value)
        case ast.Call(func=ast.Name(id="coalesce"), args=[left, right]):
            value = interpret(left, record)
            return interpret(right, record) if value is None else value
        case ast.Compare(left=left, ops=[ast.Is()]):
            return interpret(left, record) is None
        case ast.Compare(left=left, ops=[ast.IsNot()]):
            return interpret(left, record) is not None
        case ast.Compare(left=left, ops=[ast.NotIn()], comparators=[right]):
            return negation(interpret(ast.Compare(left, [ast.In()], [right]), record))
        case ast.Compare(left=left, ops=[ast.In()], comparators=[ast.List(elts=elts)]):
            value = interpret(left, record)
            members = [interpret(each, record) for each in elts]
            if value is None:
                return None
            return True if value in members else None if None in members else False
        case (
            ast.Compare(left=left, ops=[op], comparators=[right])
            | ast.BinOp(left=left, op=op, right=right)
        ):
            a, b = interpret(left, record), None
            if a is None or (b := interpret(right, record)) is None:
                return None
            return apply(op, a, b)
        case _:
            raise AssertionError(ast.dump(node))


def negation(value: Any) -> Any:
    return None if value is None else not value


def conjunction(left: Any, right: Any) -> Any:
    """False if either is; the right side is not looked at when the left decides."""
    if left is False:
        return False
    found = right()
    return False if found is False else None if left is None or found is None else True


def apply(op: Any, a: Any, b: Any) -> Any:
    sign = {
        ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%",
        ast.In: "in", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    }[type(op)]  # fmt: skip
    try:
        return eval(f"a {sign} b", {"a": a, "b": b})
    except ZeroDivisionError:
        raise Rejected from None


@settings(max_examples=400, deadline=None)
@given(booleans, records)
def test_compiled_booleans_mean_what_a_slow_interpreter_says(
    expression: str, values: dict[str, Any]
) -> None:
    check(expression, values, ["null", "boolean"])


@settings(max_examples=300, deadline=None)
@given(numbers, records)
def test_compiled_numbers_mean_what_a_slow_interpreter_says(
    expression: str, values: dict[str, Any]
) -> None:
    check(expression, values, ["null", "double"])


@settings(max_examples=300, deadline=None)
@given(booleans, records)
def test_a_filter_keeps_what_is_true_only(expression: str, values: dict[str, Any]) -> None:
    record = RECORD | values
    try:
        expected: Any = interpret(ast.parse(expression, mode="eval"), record) is True
    except Rejected:
        return  # where null counts as false, fewer operands are looked at
    shape = compile_steps(PLAN, [("filter", expression)], PLAN.schema, AvroRows(PLAN.schema))
    typed = msgspec.json.decode(json.dumps([record]).encode(), type=list[PLAN.record_type])
    assert not PLAN.finish(typed)
    found = shape(typed, NOW_US)
    assert (len(found.chunks), found.filtered) == ((1, 0) if expected else (0, 1))


def check(expression: str, values: dict[str, Any], kind: Any) -> None:
    record = RECORD | values
    try:
        expected = interpret(ast.parse(expression, mode="eval"), record)
    except Rejected:
        return  # an operand that is null is seen first, and the division beside it not made
    found = outcome(expression, record, kind)
    assert found == expected or (isinstance(found, float) and math.isclose(found, expected))


@pytest.mark.parametrize(
    ("record", "kind", "value"),
    [
        ({"i": 9223372036}, "timestamp-nanos", 9223372036 * 10**9),
        ({"i": 9223372037}, "timestamp-nanos", "output"),
        ({"i": -9223372037}, "timestamp-nanos", "output"),
        ({"i": 253402300799}, "timestamp-nanos", "output"),
        ({"i": -62135596800}, "timestamp-millis", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_beyond_the_range_of_the_output_is_a_reject(
    record: dict[str, Any], kind: str, value: Any
) -> None:
    fields = [{"name": "i", "type": "long"}]
    plan = compile_plan(parse_schema(json.dumps({"type": "record", "name": "R", "fields": fields})))
    made = outcome_with(
        plan, "timestamp(i, 'epoch_s')", record, {"type": "long", "logicalType": kind}
    )
    assert made == value
