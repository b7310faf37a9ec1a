"""What identifies a JSON number: itself as a float, or its digits where a float lacks some."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from worker.schema.values import known_number, read_number

DIGITS = st.text("0123456789", min_size=1, max_size=25)
NUMBERS = st.builds(
    lambda sign, whole, fraction, power: f"{sign}{int(whole)}.{fraction}{power}",
    st.sampled_from(["", "-"]),
    DIGITS,
    DIGITS,
    st.integers(-30, 30).map("e{}".format) | st.integers(-30, 30).map("E{:+}".format) | st.just(""),
)


@given(NUMBERS, NUMBERS)
@example("1.1", "1.10000000000000000000")
@example("1234567890123.1234567", "1234567890123.1234568")
@example("0.0000000000000000000", "-0.0e5")
@example("0.1", "0.1000000000000000055511151231257827")
def test_two_numbers_are_known_alike_exactly_where_they_are_equal(one: str, other: str) -> None:
    same = known_number(read_number(one)) == known_number(read_number(other))
    assert same == (Decimal(one) == Decimal(other)), (one, other)


@given(NUMBERS)
def test_what_a_float_holds_is_known_as_that_float(text: str) -> None:
    value = float(text)
    known = known_number(read_number(text))
    assert (known == value) == (Decimal(repr(value)) == Decimal(text))


def test_numbers_within_a_value_are_known_too() -> None:
    read = msgspec.json.Decoder(float_hook=read_number).decode
    one, other = (
        known_number(read(b'[{"a": [0.1234567890123456789%d, 1.5]}]' % digit)) for digit in (1, 2)
    )
    assert one != other and msgspec.json.encode(one) != msgspec.json.encode(other)
    assert one[0]["a"][1] == 1.5
