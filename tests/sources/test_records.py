"""The config of records: one general form, and what cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from worker.formats.shape import PLAIN, Shape
from worker.sources.records import Records, RecordsAt

READ = TypeAdapter(RecordsAt)


@pytest.mark.parametrize("path", ["data.items", "@", "a[].b"])
def test_a_path_alone_is_a_mapping_with_that_path(path: str) -> None:
    short, long = READ.validate_python(path), READ.validate_python({"path": path})
    assert short == long and short.shape == PLAIN
    assert short.meaning == long.meaning == path, "cursors of older versions rest on the path"


def test_nothing_said_means_nothing() -> None:
    assert Records().meaning is None and not Records().given
    assert READ.validate_python(None) == Records()


def test_what_is_said_beside_the_path_counts_for_cursors() -> None:
    said = READ.validate_python({"path": "a", "each": "b", "zip": ["x", "y"]})
    assert said.meaning == {"path": "a", "each": "b", "zip": ["x", "y"]}


def test_the_page_itself_needs_no_word_to_be_one_item() -> None:
    assert READ.validate_python({"path": "@", "each": "b"}).shape == Shape(each="b", single=True)


@pytest.mark.parametrize(
    ("said", "where", "words"),
    [
        ({"keep": {"a": "b"}}, ("keep",), "without each and zip"),
        ({"zip": ["a"]}, ("zip",), "one array is parallel to nothing"),
        ({"zip": ["a", "b"], "names": ["c"]}, ("names",), "objects already"),
        ({"zip": ["a", "a"]}, ("zip", 1), "given twice"),
        ({"names": ["a"], "map_key": "a"}, ("map_key",), "given twice"),
        ({"map_key": "a", "envelope": {"a": "b"}}, ("envelope", "a"), "given twice"),
        ({"names": [""]}, ("names", 0), "at least 1 character"),
        ({"each": "a["}, ("each",), "no JMESPath"),
        ({"parse": "xml"}, ("parse",), "'json'"),
        ({"eech": "a"}, ("eech",), "Extra inputs"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_key(
    said: dict[str, Any], where: tuple[str | int, ...], words: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        READ.validate_python(said)
    errors = {each["loc"]: each["msg"] for each in caught.value.errors()}
    assert list(errors) == [where] and words in errors[where]


@pytest.mark.parametrize(
    ("said", "may_miss"),
    [
        (None, False),
        ("@", False),
        ("items", True),
        ({"path": "items", "single": True}, False),
        ({"path": "items", "single": True, "each": "rows"}, True),
        ({"each": "rows"}, True),
    ],
)
def test_records_missing_counts_where_something_may_be_missing(said: Any, may_miss: bool) -> None:
    assert (READ.validate_python(said) if said else Records()).may_miss == may_miss
