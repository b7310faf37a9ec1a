"""What formats that have nothing but text make of it."""

from __future__ import annotations

import json

import pytest

from worker.formats.csv import Decode
from worker.schema.spellings import Numbers


def test_numbers_flags_and_nulls_are_read_without_being_configured() -> None:
    found = Decode(type="csv").spellings
    assert found.numbers == Numbers(group="", decimal=".")
    assert found.booleans["yes"] is True and found.booleans[0] is False
    assert found.nulls == {""}


def test_what_is_configured_counts() -> None:
    config = Decode.model_validate(
        {
            "type": "csv",
            "coerce": {"numbers": {"group": ".", "decimal": ","}, "booleans": [["ja"], ["nein"]]},
            "null_values": ["-"],
        }
    )
    assert config.spellings.numbers == Numbers(group=".", decimal=",")
    assert config.spellings.booleans == {"ja": True, "nein": False}
    assert config.spellings.nulls == {"", "-"}
    assert config.configured.nulls == {"-"}


@pytest.mark.parametrize(
    ("value", "guess"),
    [
        ("12", 12),
        ("-1.50", -1.5),
        ("0", 0),
        ("007", "007"),
        ("1234567890123456789012", "1234567890123456789012"),
        ("1e5", "1e5"),
        ("TRUE", True),
        ("", None),
        (["1", {"a": "x"}], [1, {"a": "x"}]),
        (None, None),
    ],
)
def test_a_schema_is_proposed_of_what_texts_most_likely_are(value: object, guess: object) -> None:
    record = json.dumps({"a": value}).encode()
    assert json.loads(Decode(type="csv").guessed(record)) == {"a": guess}


def test_what_is_no_json_is_no_guess() -> None:
    assert Decode(type="csv").guessed(b"{") == b"{"
