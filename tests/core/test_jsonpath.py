"""Paths: what is wrong with one is found when it is read, and a value that it does not fit is none."""

from __future__ import annotations

from typing import Any

import pytest

from worker.core.errors import ConfigError
from worker.core.jsonpath import compile_path, reader
from worker.core.model import MISSING


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("length(errors)", {}),
        ("length(errors)", {"errors": 5}),
        ("contains(message, 'long')", {"message": None}),
        ("starts_with(code, 'E')", {"code": 17}),
        ("sum(items[].n)", {"items": [{"n": "1"}]}),
        ("sort_by(items, &n)[0]", {"items": [{"n": "1"}, {"n": 1}]}),
        ("max(items)", {"items": "x"}),
    ],
)
def test_a_function_over_a_type_that_it_does_not_take_has_no_value(
    path: str, document: Any
) -> None:
    assert reader(path)(document) is None


def test_a_function_over_what_it_takes_has_its_value() -> None:
    assert reader("length(items)")({"items": [1, 2]}) == 2
    assert reader("items[0:2].a")({"items": [{"a": 1}, {"a": 2}, {"a": 3}]}) == [1, 2]
    assert reader("a.b")({"a": {}}) is MISSING


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("lenght(items)", "did you mean length()?"),
        ("items[?starts_with(name)]", "starts_with() with 1 arguments"),
        ("length(a, b)", "length() with 2 arguments"),
        ("merge()", "it takes at least 1"),
        ("[a, {b: size(c)}]", "size(), which is no function"),
        ("a[", "is no JMESPath"),
    ],
)
def test_a_call_that_nothing_can_satisfy_is_found_when_the_path_is_read(
    path: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_path(path)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "not_null(a, b, c)",
        "merge(a, b)",
        "sort_by(a, &b)",
        "length(@)",
        "a[::2]",
        "max_by(a, &to_number(b))",
    ],
)
def test_calls_that_are_right_compile(path: str) -> None:
    compile_path(path)
