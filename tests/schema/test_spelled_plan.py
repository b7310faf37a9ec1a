"""Values in the words of the source: a page says what each of its records says alone, wherever the
field stands."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.ports import InvalidRecord
from worker.formats.json import Decode
from worker.schema import CompiledPlan, compile_plan, parse_schema
from worker.schema.values import Branch

MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
DATE = {"type": "int", "logicalType": "date"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
FIXED = {**DECIMAL, "type": "fixed", "name": "Price", "size": 5}
BIG_DECIMAL = {"type": "bytes", "logicalType": "big-decimal"}
TYPES: list[Any] = [
    "int",
    "long",
    "float",
    "double",
    "boolean",
    MILLIS,
    DATE,
    DECIMAL,
    FIXED,
    BIG_DECIMAL,
]
DECODES = [
    {},
    {"null_values": ["", "N/A", "5"]},
    {"coerce": ["numbers", "booleans"], "null_values": ["-"]},
    {"coerce": {"numbers": {"group": ".", "decimal": ","}, "booleans": [["ja", 1], ["nein", 0]]}},
    {"coerce": {"numbers": {"group": " ", "decimal": ","}, "booleans": [[0], [1, "x"]]}},
    {"times": {"f0": "epoch_s"}, "time_zone": "Europe/Berlin"},
    {"times": {"f0": "epoch_ns"}},
    {"times": {"f0": "%d.%m.%Y %H:%M"}, "time_zone": "Europe/Berlin", "null_values": {"f0": ["x"]}},
    {"times": {"f0": "json_date"}, "coerce": ["numbers"]},
]
WORDS = st.sampled_from(
    [
        *(
            "",
            "-",
            "N/A",
            "x",
            "Y",
            "no",
            "ja",
            "0",
            "1",
            "5",
            "007",
            "-1",
            "+1",
            " 7 ",
            "5.0",
            "1e3",
            "-0",
            "-0.000",
            "0.005",
            "1234567.50",
            "12345678.5",
            "1e-999999999999",
            "٣",
        ),
        *("1,234.5", "1.234,5", "1 234,5", "1\u00a0234,5", "1,5", "1.5", "1234567890123", "9" * 25),
        *("1,234\n5", "5\n", "NaN", "1_0", "1714979289", "1714979289.5", "-0.5"),
        *("2024-05-06T07:08:09Z", "2024-05-06T07:08:09", "2024-02-30T00:00:00Z", "20240506"),
        *("06.05.2024 09:08", "6.5.2024 9:08", "30.02.2024 00:00", "/Date(5)/", "2024-05-06"),
    ]
)
VALUES = (
    WORDS
    | st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.integers(-(2**70), 2**70)
    | st.integers(1_700_000_000, 1_800_000_000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(WORDS, max_size=1)
)


def plan_of(fields: list[dict[str, Any]], decode: dict[str, Any]) -> CompiledPlan:
    spellings = Decode.model_validate({"type": "json", **decode}).spellings
    document = {"type": "record", "name": "Root", "fields": fields}
    return compile_plan(parse_schema(json.dumps(document)), spellings=spellings)


def alone(plan: CompiledPlan, record: Any) -> Any:
    """(datums, errors) of a record by itself."""
    try:
        made = plan.one(json.dumps(record).encode())
    except InvalidRecord as invalid:
        return invalid.errors
    return made.f0


@given(
    st.sampled_from(TYPES),
    st.booleans(),
    st.sampled_from(DECODES),
    st.lists(st.lists(VALUES, min_size=1, max_size=8), min_size=1, max_size=3),
)
def test_a_page_says_what_each_of_its_records_says_alone(
    kind: Any, nullable: bool, decode: dict[str, Any], pages: list[list[Any]]
) -> None:
    plan = plan_of([{"name": "f0", "type": ["null", kind] if nullable else kind}], decode)
    for values in pages:
        records = [{"f0": value} for value in values]
        expected = [alone(plan, each) for each in records]
        try:
            page = plan.decoder(list[plan.record_type])(json.dumps(records))
        except msgspec.ValidationError:  # such a page is decoded record by record
            assert any(isinstance(each, tuple) for each in expected)
            continue
        wrong = dict(plan.finish(page))
        for index, datum in enumerate(expected):
            if isinstance(datum, tuple):
                assert [each.path for each in wrong[index]] == [each.path for each in datum]
            elif index in wrong:  # a number whose digits a float may have lost
                assert "digits" in wrong[index][0].found
            else:
                assert repr(page[index].f0) == repr(datum)


COLUMNS: list[tuple[Any, dict[str, Any], list[Any]]] = [
    (MILLIS, {"null_values": ["", "-"]}, [f"2024-05-06T07:{n:02}:09Z" for n in range(40)]),
    (MILLIS, {"time_zone": "Europe/Berlin"}, [f"2024-03-31 0{n % 5}:{n}:09" for n in range(10, 50)]),
    (MILLIS, {"times": {"f0": "epoch_s"}}, [1714979289 + n / 8 for n in range(40)]),
    (MILLIS, {"times": {"f0": "epoch_s"}}, [f"{1714979289 + n}" for n in range(40)]),
    (MILLIS, {"times": {"f0": "epoch_ns"}}, [f"{1714979289 + n}.5" for n in range(40)]),
    (MILLIS, {"times": {"f0": "%d.%m.%Y"}, "time_zone": "UTC"}, [f"{n}.05.2024" for n in range(40)]),
    (MILLIS, {"times": {"f0": "json_date"}}, [f"/Date({1714979289123 + n})/" for n in range(40)]),
    (DATE, {"times": {"f0": "json_date"}}, [f"/Date({-n * 10**10})/" for n in range(40)]),
    (MILLIS, {}, [f"{n + 1} May 2024 07:08:09 GMT" for n in range(31)]),
    (MILLIS, {"times": {"f0": "%b %d %y, %I:%M %p"}, "time_zone": "UTC"},
     [f"May {n} 24, {n % 13}:{n} PM" for n in range(10, 40)]),
    (DATE, {}, [f"{1900 + n}-05-06" for n in range(40)]),
    (DATE, {"times": {"f0": "epoch_s"}}, [86_399.5 + n for n in range(40)]),
    ("long", {"coerce": ["numbers"], "null_values": ["7"]}, [f"{n}" for n in range(40)]),
    ("int", {"coerce": ["numbers"]}, [f"{n:,}" for n in range(900, 1_100, 5)]),
    ("float", {"coerce": ["numbers"]}, [f"{n / 8}" for n in range(40)]),
    (DECIMAL, {}, [f"{n / 4:.2f}" for n in range(-20, 20)]),
    (DECIMAL, {}, [n / 4 for n in range(40)]),
    (DECIMAL, {}, [n % 3 for n in range(40)]),
    (FIXED, {"coerce": ["numbers"], "null_values": ["7"]}, [f"{n * 977:,}" for n in range(40)]),
    (FIXED, {"coerce": {"numbers": {"group": ".", "decimal": ","}}}, [n / 8 for n in range(40)]),
    (BIG_DECIMAL, {"coerce": {"numbers": {"group": " ", "decimal": ","}}},
     [f"{n},{n}" for n in range(40)]),
    ("boolean", {"coerce": ["booleans"]}, [f"{' ' * (n // 2)}{'yn'[n % 2]}" for n in range(40)]),
]  # fmt: skip


@given(
    st.sampled_from(COLUMNS),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 40), VALUES), max_size=4),
)
def test_a_column_says_what_each_of_its_values_says_alone(
    column: tuple[Any, dict[str, Any], list[Any]], nullable: bool, others: list[tuple[int, Any]]
) -> None:
    kind, decode, usual = column
    plan = plan_of([{"name": "f0", "type": ["null", kind] if nullable else kind}], decode)
    values = list(usual)
    for place, value in others:
        values.insert(place, value)
    records = [{"f0": value} for value in values]
    page = msgspec.json.decode(json.dumps(records), type=list[plan.record_type])
    wrong = dict(plan.finish(page))
    for index, record in enumerate(records):
        datum = alone(plan, record)
        if isinstance(datum, tuple):
            assert wrong[index] == datum
        else:
            assert index not in wrong
            assert repr(page[index].f0) == repr(datum)


SPELLED = {
    "times": {"f0": "epoch_s", "f1.at": "%d.%m.%Y", "f2.at": "epoch_ms", "f2.next.at": "json_date"},
    "time_zone": "UTC",
}
LINK = {
    "type": "record",
    "name": "Link",
    "fields": [
        {"name": "at", "type": MILLIS},
        {"name": "next", "type": ["null", "Link"], "default": None},
    ],
}


def test_a_type_that_stands_in_several_places_is_read_as_each_place_says() -> None:
    plan = plan_of(
        [
            {"name": "f0", "type": {"type": "map", "values": {"type": "array", "items": MILLIS}}},
            {"name": "f1", "type": LINK},
            {"name": "f2", "type": ["null", {"type": "array", "items": "Link"}]},
        ],
        SPELLED,
    )
    record = plan.one(
        json.dumps(
            {
                "f0": {"a": [1, "2"]},
                "f1": {"at": "02.01.1970", "next": {"at": 5}},
                "f2": [{"at": "7", "next": {"at": "/Date(8)/", "next": {"at": 9}}}],
            }
        ).encode()
    )
    assert record.f0 == {"a": [1_000, 2_000]}
    assert record.f1 == {"at": 86_400_000, "next": {"at": 5, "next": None}}
    assert record.f2 == [{"at": 7, "next": {"at": 8, "next": {"at": 9, "next": None}}}]


@pytest.mark.parametrize(
    ("branches", "decode", "value", "branch", "datum"),
    [
        (["null", "long", "double"], {"coerce": ["numbers"]}, "1,234", 1, 1234),
        (["null", "long", "double"], {"coerce": ["numbers"]}, "1.5", 2, 1.5),
        (["null", "long", "string"], {"coerce": ["numbers"]}, "1234", 2, "1234"),
        (["boolean", "long"], {"coerce": ["booleans"]}, "Y", 0, True),
        (["boolean", "long"], {"coerce": ["booleans"]}, 1, 1, 1),
        (["null", "boolean", "double"], {"coerce": ["booleans", "numbers"]}, "7", 2, 7.0),
        *(
            (branches, {"coerce": ["numbers", "booleans"]}, text, branches.index(kind), datum)
            for branches in (["null", "long", "boolean"], ["boolean", "null", "long"])
            for text, kind, datum in (("0", "long", 0), ("1", "long", 1), ("2", "long", 2),
                                      ("true", "boolean", True), ("off", "boolean", False))
        ),
        (["boolean", "double"], {"coerce": ["numbers", "booleans"]}, " 1 ", 1, 1.0),
        (["boolean", "double"], {"coerce": {"numbers": {}, "booleans": [["1.5"], ["0"]]}}, "1.5", 1, 1.5),
        (["boolean", "long"], {"coerce": {"numbers": {}, "booleans": [["1.5"], ["0"]]}}, "1.5", 0, True),
        (["boolean", "long"], {"coerce": ["booleans"]}, "1", 0, True),
        (["boolean", MILLIS], {"coerce": ["booleans"], "times": {"f0": "epoch_s"}}, "1", 1, 1000),
        (["boolean", DECIMAL], {"coerce": ["booleans"]}, "1", 1, Decimal(1)),
        (["null", "long", "double"], {"null_values": [""]}, "", 0, None),
        (["null", "long", "string"], {"null_values": [""]}, "", 2, ""),
        (["null", "long", "string"], {"null_values": {"f0": ["-"]}}, "-", 0, None),
        (["long", "null", MILLIS | {"type": "int", "logicalType": "date"}], {}, "2024-05-06", 2, 19849),
        (["string", MILLIS], {"times": {"f0": "epoch_s"}}, 1, 1, 1000),
    ],
)  # fmt: skip
def test_a_union_of_several_types_takes_what_the_text_stands_for(
    branches: list[Any], decode: dict[str, Any], value: Any, branch: int, datum: Any
) -> None:
    plan = plan_of([{"name": "f0", "type": branches}], decode)
    assert plan.one(json.dumps({"f0": value}).encode()).f0 == Branch(branch, datum)


@given(
    st.sampled_from([DECIMAL, FIXED]),
    st.booleans(),
    st.lists(st.integers(-(10**9) + 1, 10**9 - 1), min_size=1),
)
def test_a_decimal_has_the_same_bytes_in_text_and_as_a_number(
    kind: Any, nullable: bool, cents: list[int]
) -> None:
    plan = plan_of([{"name": "f0", "type": ["null", kind] if nullable else kind}], {})
    as_text = [f"{Decimal(each).scaleb(-2):f}" for each in cents]
    pages = [
        plan.decoder(list[plan.record_type])("[" + ",".join(f'{{"f0":{x}}}' for x in values) + "]")
        for values in (as_text, [f'"{each}"' for each in as_text])
    ]
    assert [plan.finish(page) for page in pages] == [[], []]
    size = kind.get("size")
    for each, *records in zip(cents, *pages, strict=True):
        length = size or ((each if each >= 0 else ~each).bit_length() + 8) // 8
        number = each.to_bytes(length, "big", signed=True)
        head = (b"\2" if nullable else b"") + (b"" if size else bytes([2 * length]))
        assert [plan.encode([record]) for record in records] == [head + number] * 2


def test_a_symbol_of_an_enum_is_no_null() -> None:
    enum = {"type": "enum", "name": "E", "symbols": ["NA", "EU"]}
    plan = plan_of([{"name": "f0", "type": ["null", enum]}], {"null_values": ["NA", ""]})
    assert plan.one(b'{"f0": "NA"}').f0 == "NA"
    assert plan.one(b'{"f0": ""}').f0 is None


def test_an_absent_field_has_its_default_and_no_text_is_learnt_for_it() -> None:
    plan = plan_of([{"name": "f0", "type": "long", "default": 7}], {"coerce": ["numbers"]})
    page = plan.decoder(list[plan.record_type])(b'[{}, {"f0": "8"}, {}]')
    assert plan.finish(page) == []
    assert [record.f0 for record in page] == [7, 8, 7]


def test_what_is_remembered_is_bounded() -> None:
    plan = plan_of([{"name": "f0", "type": "long"}], {"coerce": ["numbers"]})
    for start in range(0, 50_000, 2_000):
        raw = json.dumps([{"f0": str(number)} for number in range(start, start + 2_000)])
        page = plan.decoder(list[plan.record_type])(raw)
        assert plan.finish(page) == []
        assert page[-1].f0 == start + 1_999


@pytest.mark.parametrize("decode", DECODES)
def test_encoded_bytes_do_not_depend_on_how_a_value_was_written(decode: dict[str, Any]) -> None:
    usual = plan_of([{"name": "f0", "type": ["null", "double"]}], {})
    spelled = plan_of([{"name": "f0", "type": ["null", "double"]}], decode)
    for raw in (b'{"f0": 5.5}', b'{"f0": 7}', b'{"f0": null}', b"{}"):
        expected = usual.encode([usual.one(raw)])
        page = spelled.decoder(list[spelled.record_type])(b"[" + raw + b"]")
        assert spelled.finish(page) == []
        assert spelled.encode(page) == spelled.encode([spelled.one(raw)]) == expected


@pytest.mark.parametrize("nullable", [False, True])
def test_a_default_that_no_reader_has_is_never_written(nullable: bool) -> None:
    kind = [MILLIS, "null"] if nullable else MILLIS
    beyond = plan_of([{"name": "f0", "type": kind, "default": 10**17}], {})
    with pytest.raises(InvalidRecord) as invalid:
        beyond.one(b"{}")
    assert "beyond the range of timestamp-millis" in invalid.value.errors[0].allowed
    assert beyond.one(b'{"f0": 5}').f0 == 5
    assert plan_of([{"name": "f0", "type": kind, "default": 10**12}], {}).one(b"{}").f0 == 10**12
