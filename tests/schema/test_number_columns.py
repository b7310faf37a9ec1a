"""A column of numbers says what each of its values says alone, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.instants import NANOS
from worker.core.written_times import EPOCHS, instant, time_reader
from worker.schema.coerced_checks import decimal_text, number_text
from worker.schema.defaults import DOUBLE_MAX, RANGES
from worker.schema.logical import fits
from worker.schema.model import Type
from worker.schema.number_columns import (
    DecimalColumn,
    NumberColumn,
    exact_floats,
    fixed_point,
    inside,
)
from worker.schema.spellings import Numbers

FORMS = [Numbers(), Numbers(".", ","), Numbers(" ", ","), Numbers("", "."), Numbers("'", ".")]
KINDS: list[tuple[Any, float, float]] = [
    (int, *RANGES["int"]),
    (int, *RANGES["long"]),
    (float, -DOUBLE_MAX, DOUBLE_MAX),
    (float, -1e6, 1e6),
]
DIGITS = st.text("0123456789", min_size=1, max_size=20)
WRITTEN = (
    st.integers(-(2**64), 2**64).map(str)
    | st.integers(-(10**9), 10**9).map("{:,}".format)
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.floats(-1e9, 1e9).map("{:,.3f}".format)
    | st.builds("{}.{}".format, DIGITS, DIGITS)
    | DIGITS
)
HOSTILE = (
    st.sampled_from(
        [
            *("", " ", "-", ".", "-.", "5.", ".5", "-.5", "+5", "--5", "5-", "1-2", "007", "-007"),
            *("1,5", "1,23,456", "1,234\n5", "5\n", "\n", "1\n2", " 7 ", "7\t", "NaN", "inf"),
            *("1_0", "1e3", "0x1", "null", "[1]", "1]", '"1"', "1 234", "1\u00a0234", "٣", "?"),
            *(
                "1e5",
                "1E-2",
                "1e9999",
                "1e99999",
                "100000.00",
                "0.010",
                "00000000.5000",
                "1,234,567.5",
            ),
            *("9" * 25, "9" * 400, "9" * 5_000, "1.2.3", "0." + "0" * 40 + "1", "-0", "-0.0"),
        ]
    )
    | st.text("0123456789-.,' \n", max_size=12)
    | st.text(max_size=5)
)


def alone(
    numbers: Numbers, number: Callable[[str], Any], low: float, high: float, text: str
) -> Any:
    """The number, or the error of a text that is none."""
    try:
        found = number(number_text(numbers)(text))
    except ValueError as error:
        return error
    return found if low <= found <= high else ValueError("out of range")


@given(
    st.sampled_from(FORMS),
    st.sampled_from(KINDS),
    st.lists(WRITTEN, max_size=9),
    st.lists(HOSTILE, max_size=2),
)
def test_a_column_of_texts_says_what_each_says_alone(
    numbers: Numbers, kind: Any, written: list[str], hostile: list[str]
) -> None:
    column = NumberColumn(numbers, *kind)
    signs = str.maketrans({",": numbers.group, ".": numbers.decimal})
    texts = [*(each.translate(signs) for each in written), *hostile]
    for part in (texts, texts[::-1], *([each] for each in texts)):
        found = column(part) if part else None
        if found is not None:
            assert list(map(repr, found)) == [repr(alone(numbers, *kind, each)) for each in part]


@pytest.mark.parametrize("numbers", FORMS)
@pytest.mark.parametrize("text", ["0", "-5", "007", "1,234,567", "12.5", "5.", "-1,234.5"])
def test_usual_numbers_are_read_as_a_column(numbers: Numbers, text: str) -> None:
    written = text.translate(str.maketrans({",": numbers.group, ".": numbers.decimal}))
    expected = float(text.replace(",", ""))
    assert NumberColumn(numbers, float, -1e9, 1e9)([written, written]) == [expected, expected]


DECIMALS = [
    Type("bytes", logical="decimal", precision=precision, scale=scale)
    for precision, scale in ((5, 2), (9, 0), (4, 4), (30, 11))
] + [Type("bytes", logical="big-decimal")]


def reader_of(numbers: Numbers, kind: Type) -> Callable[[str], Decimal]:
    read = decimal_text(numbers)

    def one(text: str) -> Decimal:
        number = read(text)
        if not fits(kind, number):
            raise ValueError("no value of the type")
        return number

    return one


@given(
    st.sampled_from(FORMS),
    st.sampled_from(DECIMALS),
    st.lists(WRITTEN, max_size=9),
    st.lists(HOSTILE, max_size=3),
)
def test_a_column_of_decimals_says_what_each_says_alone(
    numbers: Numbers, kind: Type, written: list[str], hostile: list[str]
) -> None:
    read = reader_of(numbers, kind)
    signs = str.maketrans({",": numbers.group, ".": numbers.decimal})
    texts = [*(each.translate(signs) for each in written), *hostile]
    found = DecimalColumn(numbers, read)(texts)
    for text, number in zip(texts, found or (), strict=found is not None):
        if number is not None:
            assert repr(number) == repr(read(text))


@pytest.mark.parametrize("numbers", FORMS)
@pytest.mark.parametrize("text", ["0", "-5", "007", "123", "12.5", "-0.00", "1,234", "-1,234.50"])
def test_usual_decimals_are_read_as_a_column_beside_unusual_ones(
    numbers: Numbers, text: str
) -> None:
    written = text.translate(str.maketrans({",": numbers.group, ".": numbers.decimal}))
    column = DecimalColumn(numbers, reader_of(numbers, Type("bytes", precision=6, scale=2)))
    expected = repr(Decimal(text.replace(",", "")))
    assert list(map(repr, column([written, written]) or ())) == [expected, expected]
    assert list(map(repr, column(["x", written, "1e3"]) or ())) == ["None", expected, "None"]


@pytest.mark.parametrize("group", ["", ",", " "])
def test_digits_that_a_decimal_has_no_place_for_are_left_to_the_careful_check(group: str) -> None:
    column = DecimalColumn(Numbers(group), reader_of(Numbers(group), DECIMALS[0]))
    texts = ["999.99", "1000", "1.000", "-0.999", "0001", "٣", "1e2", "1\u00a0000"]
    assert column(texts) == [Decimal("999.99"), *[None] * 7]
    assert column(["1", "2\n3"]) is None


@pytest.mark.parametrize("value", [5, None, 1.5, [], {}, True, b"5"])
def test_what_is_no_text_is_in_no_column(value: Any) -> None:
    column = NumberColumn(Numbers(), int, -9, 9)
    assert column(["5", value]) is None
    assert DecimalColumn(Numbers(), Decimal)(["5", value]) is None
    assert fixed_point(["5", value], column) is None
    assert fixed_point(["5.0", value], column) is None


def counted(form: str, value: Any) -> int:
    return instant(time_reader(form)(value))


@given(
    st.sampled_from(sorted(EPOCHS)),
    st.integers(0, 12),
    st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=9),
    st.lists(HOSTILE, max_size=2),
)
def test_counts_in_text_are_read_to_their_last_digit(
    form: str, digits: int, wholes: list[int], hostile: list[str]
) -> None:
    written = [f"{each}.{abs(each) % 10**digits:0{digits}}" for each in wholes]
    texts = [*(written if digits else map(str, wholes)), *hostile]
    column = NumberColumn(Numbers(group=""), int, *RANGES["long"])
    for part in (texts, texts[::-1], *([each] for each in texts)):
        found = fixed_point(part, column)
        if found is not None and max(map(len, part)) <= 20:
            unit = NANOS // EPOCHS[form]
            expected = [counted(form, text) for text in part]
            assert [each * unit // 10 ** found[1] for each in found[0]] == expected


@pytest.mark.parametrize("text", [".5", "-.5"])
def test_counts_in_text_have_a_digit_before_the_point(text: str) -> None:
    column = NumberColumn(Numbers(group=""), int, *RANGES["long"])
    with pytest.raises(ValueError, match="no number"):
        counted("epoch_s", text)
    assert fixed_point([text] * 9, column) is None


@given(
    st.sampled_from(["epoch_s", "epoch_ms", "epoch_us"]),
    st.lists(
        st.integers(-(10**13), 10**13).map(lambda each: each / 1_000)
        | st.integers(-(10**16), 10**16).map(lambda each: each / 1_000_000)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.floats(-5e9, 5e9)
        | st.integers(-(2**60), 2**60),
        min_size=1,
    ),
)
def test_floats_stand_for_the_fewest_digits_that_make_them(form: str, values: list[Any]) -> None:
    scale = 1_000_000 // EPOCHS[form]
    for part in (values, *([each] for each in values)):
        for value, micros in zip(part, exact_floats(part, scale) or (), strict=False):
            if micros is not None:
                assert micros * 1_000 == counted(form, value)


@given(
    st.lists(st.text("0123456789-+", max_size=5), min_size=1, max_size=5),
    st.lists(
        st.sampled_from(["/Date(5", "5)/", "/Date(/Date(5)/", "/Date(5)/\n/Date(6)/", "", 5])
        | st.text("/Date()5\n", max_size=16),
        max_size=2,
    ),
)
def test_ends_are_taken_from_texts_that_all_have_them(inner: list[str], others: list[Any]) -> None:
    texts = [*(f"/Date({each})/" for each in inner), *others]
    found = inside(texts, "/Date(", ")/")
    if found is not None:
        assert [f"/Date({each})/" for each in found] == texts
    assert inside(texts[: len(inner)], "/Date(", ")/") == inner


def test_usual_floats_are_read_as_a_column() -> None:
    assert exact_floats([1714979289.123, 0.5, -1.25, 7], 10**6) == [
        *(1714979289123000, 500_000, -1_250_000, 7_000_000),
    ]
    assert exact_floats([1714979289.1234567, 0.5], 10**6) == [None, 500_000]
    assert exact_floats([1e300, 0.5], 10**6) is None


@pytest.mark.parametrize("value", [True, None, "5", [], float("inf"), float("nan")])
def test_what_is_no_finite_number_is_in_no_column(value: Any) -> None:
    assert exact_floats([0.5, value], 1) is None
