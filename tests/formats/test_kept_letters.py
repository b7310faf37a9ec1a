"""What dead letters keep of the records that they are about."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.dead_letter import DeadLetter, Rejection
from worker.core.model import FieldError, Reject
from worker.formats.kept_letters import NOT_KEPT, Hidden, Keep, LetterLine
from worker.schema import parse_schema
from worker.schema.kept import with_field
from worker.schema.stored import store

SECRET = "kanarienvogel"  # what a person would not want to be kept
SCHEMA = parse_schema(
    json.dumps(
        {
            "type": "record",
            "name": "Person",
            "fields": [
                {"name": "id", "type": "long"},
                {
                    "name": "mail",
                    "type": ["null", "string"],
                    "json_name": "e.mail",
                    "aliases": ["m"],
                },
                {"name": "tags", "type": {"type": "map", "values": "int"}},
            ],
        }
    )
)
FIELDS = SCHEMA.root.fields
NAMES = frozenset(each.json_name for each in FIELDS)
HIDDEN = Hidden.of(frozenset(["mail"]), FIELDS)


def letter(
    raw: bytes,
    keep: Keep,
    *errors: FieldError,
    hidden: Hidden = HIDDEN,
    code: str = "invalid",
    stage: str = "validate",
) -> tuple[bytes, DeadLetter]:
    line = LetterLine(keep, hidden, NAMES)(
        Reject(3, stage, code, errors, raw),
        Rejection(
            pipeline="p",
            partition="a",
            seq=7,
            position={"page": 2},
            at="2024-01-01T00:00:00.000Z",
            fingerprint="f" * 16,
        ),
    )
    found = DeadLetter.from_line(line)
    assert (found.seq, found.index, found.partition, found.code) == (7, 3, "a", code)
    return line, found


JSON = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(
    record=st.dictionaries(st.sampled_from(["id", "tags", "other", "mailbox"]), JSON),
    name=st.sampled_from(["e.mail", "mail", "m"]),
    value=st.sampled_from([SECRET, [SECRET], {"a": SECRET}, {SECRET: 1}]),
    escaped=st.booleans(),
)
def test_masked_hides_the_field_under_all_its_names_and_nothing_else(
    record: dict[str, Any], name: str, value: Any, escaped: bool
) -> None:
    raw = json.dumps({**record, name: value}, ensure_ascii=escaped)
    if escaped:
        raw = raw.replace(f'"{name}"', '"' + "".join(f"\\u{ord(char):04x}" for char in name) + '"')
    line, found = letter(raw.encode(), "masked")
    assert SECRET.encode() not in line
    assert json.loads(found.received) == {**record, name: "***"}
    assert (found.kept, found.whole) == ("masked", False)


@given(record=st.dictionaries(st.sampled_from(["id", "tags", "other"]), JSON))
def test_a_record_in_which_nothing_is_hidden_is_kept_as_it_was_received(
    record: dict[str, Any],
) -> None:
    raw = json.dumps({**record, "e.mail": None}, indent=1).encode()
    _, found = letter(raw, "masked", FieldError("$.id", "text", "a number"))
    assert found.received == raw and found.whole


@pytest.mark.parametrize(
    "raw",
    [
        b'{"e.mail": "kanarienvogel", "id": NaN}',
        b'{"e.mail": "kanarienvogel"',
        b'["kanarienvogel"]',
        b'{"a":' * 2_000 + b'"kanarienvogel"' + b"}" * 2_000,
    ],
)
def test_a_record_that_cannot_be_read_is_not_kept_where_something_is_hidden(raw: bytes) -> None:
    line, found = letter(raw, "masked")
    assert SECRET.encode() not in line
    assert (found.kept, found.received) == ("errors", b"")


def test_a_body_is_not_kept_where_something_is_hidden() -> None:
    body = b'{"items": [{"e.mail": "kanarienvogel"}]}'
    line, found = letter(body, "masked", code="bad_body", stage="decode")
    assert SECRET.encode() not in line and found.kept == "errors"


def test_behind_a_step_that_may_move_values_nothing_is_kept() -> None:
    line, found = letter(b'{"id": "kanarienvogel"}', "masked", hidden=Hidden.of(None, FIELDS))
    assert SECRET.encode() not in line and found.kept == "errors"


def test_a_masked_field_that_keeps_what_the_schema_lacks_hides_what_it_lacks() -> None:
    fields = with_field(SCHEMA, "_rest").root.fields
    hidden = Hidden.of(frozenset(["_rest"]), fields, "_rest")
    line, found = letter(b'{"id": 1, "phone": "kanarienvogel"}', "masked", hidden=hidden)
    assert SECRET.encode() not in line
    assert json.loads(found.received) == {"id": 1, "phone": "***"}


def test_of_a_record_that_was_avro_no_datum_is_kept() -> None:
    datum = SECRET.encode()
    raw = store(b'{"id": 1, "m": "kanarienvogel"}', datum, SCHEMA)
    line, found = letter(raw, "masked")
    assert json.loads(found.received) == {"id": 1, "m": "***"} and not found.whole
    assert b"avro" not in line


@pytest.mark.parametrize("keep", ["masked", "errors"])
def test_errors_tell_nothing_of_what_is_hidden(keep: Keep) -> None:
    _, found = letter(
        b'{"id": 1, "e.mail": {"kanarienvogel": 1}}',
        keep,
        FieldError("$.e.mail.kanarienvogel", "text kanarienvogel", "a string"),
        FieldError("$.id", "text", "a number"),
    )
    assert found.errors == (
        FieldError("$.e.mail", NOT_KEPT, "a string"),
        FieldError("$.id", "text" if keep == "masked" else NOT_KEPT, "a number"),
    )


@given(raw=st.binary(max_size=40), code=st.sampled_from(["invalid", "no_json", "too_long"]))
def test_errors_keeps_place_and_reasons_only(raw: bytes, code: str) -> None:
    errors = (
        FieldError("$.tags.kanarienvogel", "a number kanarienvogel", "an int"),
        FieldError("$.kanarienvogel", "x", "y"),
        FieldError("$", "unknown fields kanarienvogel", "the fields of the schema"),
    )
    line, found = letter(SECRET.encode() + raw, "errors", *errors, code=code)
    assert SECRET.encode() not in line
    assert [each.path for each in found.errors] == ["$.tags", "$", "$"]
    assert "raw" not in json.loads(line) and "raw_base64" not in json.loads(line)


@given(raw=st.binary(max_size=40))
def test_raw_keeps_the_bytes(raw: bytes) -> None:
    wrong = FieldError("$.e.mail", "text", "a number")
    line, found = letter(raw, "raw", wrong)
    assert (found.received, found.errors, found.whole) == (raw, (wrong,), True)
    assert "kept" not in json.loads(line)


def test_a_letter_that_was_not_whole_stays_as_it_is_and_never_gets_more() -> None:
    line, before = letter(b'{"id": 1, "e.mail": "kanarienvogel"}', "masked")
    again = Reject(0, before.stage, before.code, before.errors, b"", letter=line)
    for keep, kept in (("raw", before), ("masked", before), ("errors", before.without_record())):
        found = LetterLine(keep, HIDDEN, NAMES)(
            again,
            Rejection(
                pipeline="p",
                partition="@dead_letters",
                seq=9,
                position=None,
                at="2030-01-01T00:00:00.000Z",
                fingerprint="",
            ),
        )
        assert DeadLetter.from_line(found) == msgspec.structs.replace(kept, seq=9)
