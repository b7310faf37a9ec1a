"""Text functions of expressions: against slow definitions, and bounded in size and time."""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transforms.test_expression import RECORD, outcome, outcome_with

from worker.core.errors import ConfigError
from worker.core.ports import InvalidRecord
from worker.schema import compile_plan, parse_schema
from worker.transforms import texts

TEXTS = {"type": "array", "items": "string"}
FIELDS = {
    "a": "string",
    "b": "string",
    "n": ["null", "string"],
    "tags": {"type": "array", "items": ["null", "string"]},
    "i": "long",
    "m": {"type": "map", "values": "int"},
    "raw": "bytes",
}
PLAN = compile_plan(
    parse_schema(
        json.dumps(
            {
                "type": "record",
                "name": "R",
                "fields": [{"name": name, "type": kind} for name, kind in FIELDS.items()],
            }
        )
    )
)
VALUES: dict[str, Any] = {
    "a": "x-1-é", "b": "-", "n": None, "tags": ["p", None, "q"], "i": 2, "m": {"k": 1}, "raw": "\xff",
}  # fmt: skip


def made(expression: str, kind: Any = ("null", "string"), **values: Any) -> Any:
    kind = list(kind) if isinstance(kind, tuple) else kind
    return outcome_with(PLAN, expression, VALUES | values, kind)


@pytest.mark.parametrize(
    ("expression", "kind", "value"),
    [
        ("concat(a, b, 'z')", "string", "x-1-é-z"),
        ("concat(a, n)", ["null", "string"], None),
        ("replace(a, '-', '+')", "string", "x+1+é"),
        ("replace(a, b, '')", "string", "x1é"),
        ("replace(a, '', '+')", "string", "x-1-é"),
        ("replace(n, '-', '+')", ["null", "string"], None),
        ("split(a, '-')", TEXTS, ["x", "1", "é"]),
        ("split(n, '-')", ["null", TEXTS], None),
        ("split(a, '-', 0)", ["null", "string"], "x"),
        ("split(a, '-', -1)", ["null", "string"], "é"),
        ("split(a, '-', 3)", ["null", "string"], None),
        ("split(a, '-', -4)", ["null", "string"], None),
        ("len(split(a, '-'))", "int", 3),
        ("'1' in split(a, '-')", "boolean", True),
        ("join(tags, ', ')", "string", "p, q"),
        ("join(split(a, '-'), '/')", "string", "x/1/é"),
        ("'q' in tags", "boolean", True),
        ("n in tags", ["null", "boolean"], None),
        ("'k' in m", "boolean", True),
        ("a in m", "boolean", False),
        ("substr(a, 2)", "string", "1-é"),
        ("substr(a, -3, 2)", "string", "1-"),
        ("substr(a, 9)", "string", ""),
        ("substr(a, -9, 1)", "string", "x"),
        ("substr(a, i, 0)", "string", ""),
        ("substr(a, 0, 0 - i)", "string", "conversion"),
        ("regex_match(a, r'^x-\\d')", "boolean", True),
        ("regex_match(a, '1-.$')", "boolean", True),
        ("regex_match(a, '^1')", "boolean", False),
        ("regex_match(n, '^1')", ["null", "boolean"], None),
        ("regex_replace(a, r'(\\w)-(\\d)', r'\\2<\\1>\\\\')", "string", "1<x>\\-é"),
        ("regex_replace(a, '-.*', '')", "string", "x"),
        ("regex_replace(a, 'q*', '_')", "string", "_x_-_1_-_é_"),
        ("hash(a)", "string", hashlib.sha256("x-1-é".encode()).hexdigest()),
        ("hash(raw)", "string", hashlib.sha256(b"\xff").hexdigest()),
        ("hash(n)", ["null", "string"], None),
    ],
)
def test_what_a_function_makes(expression: str, kind: Any, value: Any) -> None:
    assert made(expression, kind) == value


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("concat(a)", "concat() has 1 arguments"),
        ("concat(a, i)", "concat(text, whole number)"),
        ("split(a, '')", "constant text"),
        ("split(a, b)", "constant text"),
        ("split(a, '-', i)", "constant number"),
        ("join(a, '-')", "join(text, text)"),
        ("substr(a, 'x')", "substr(text, text)"),
        ("hash(i)", "hash(whole number)"),
        ("regex_match(a, b)", "constant pattern"),
        ("regex_match(a, '(')", "column 1: the pattern '(' is none: missing )"),
        ("regex_match(a, '(?<=x)y')", "neither look-around"),
        ("a == 'z' or regex_match(a, '[')", "column 13: "),
        ("regex_replace(a, '-', r'\\1')", "the pattern 0 groups"),
        ("regex_replace(a, '-', r'\\x')", r"has '\\x'"),
        ("regex_matches(a, '-')", "did you mean 'regex_match'?"),
        (r"regex_match(a, '\d')", "written r'...'"),
    ],
)
def test_what_is_refused_when_the_config_is_loaded(expression: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(expression)
    assert says in f"{caught.value}"


def test_an_array_of_texts_fits_an_array_of_texts_only() -> None:
    for kind in (
        {"type": "array", "items": "long"},
        {"type": "array", "items": {"type": "string", "logicalType": "uuid"}},
        {"type": "array", "items": ["string", "int"]},
    ):
        with pytest.raises(ConfigError, match="'out' is array of text"):
            made("split(a, '-')", kind)
    nullable = {"type": "array", "items": ["null", "string"]}
    assert made("split(a, '-')", nullable) == ["x", "1", "é"]
    assert made("coalesce(tags, split(a, '-'))", nullable) == ["p", None, "q"]


words = st.text("ab-é\n", max_size=8)


@settings(max_examples=300, deadline=None)
@given(words, words, words, st.integers(-9, 9), st.integers(0, 9))
def test_text_functions_mean_what_their_definitions_say(
    a: str, b: str, new: str, start: int, length: int
) -> None:
    first = start if start >= 0 else max(len(a) + start, 0)
    expected = {
        "concat(a, b, a)": a + b + a,
        "replace(a, b, n)": a.replace(b, new) if b else a,
        f"substr(a, {start}, {length})": "".join(
            sign for at, sign in enumerate(a) if first <= at < first + length
        ),
        "join(split(a, '-'), b)": b.join(a.split("-")),
        "split(a, '-', 1)": dict(enumerate(a.split("-"))).get(1),
        "regex_replace(a, '(a)(b)?', r'<\\2\\1>')": re.sub(
            "(a)(b)?", lambda found: f"<{found[2] or ''}{found[1]}>", a
        ),
        "str(regex_match(a, '^a+b|é$'))": str(bool(re.search(r"^a+b|é\Z", a))).lower(),
        "hash(a)": hashlib.sha256(a.encode()).hexdigest(),
    }
    record = VALUES | {"a": a, "b": b, "n": new}
    for expression, value in expected.items():
        assert outcome_with(PLAN, expression, record, ["null", "string"]) == value, expression


def test_a_pattern_that_backtracks_elsewhere_takes_no_time() -> None:
    began = time.perf_counter()
    assert made("str(regex_match(a, '^(a|aa)*b$'))", a="a" * 36) == "false"
    assert time.perf_counter() - began < 1  # another engine takes many times as long
    assert made("str(regex_match(a, '(a*)*(a|aa)*b$'))", a="a" * 50_000) == "false"
    assert time.perf_counter() - began < 5  # another engine would take longer than the universe


@pytest.mark.parametrize(
    "expression",
    [
        "concat(a, a, a)",
        "replace(a, 'a', 'bbb')",
        "join(split(a, 'a'), 'bbb')",
        "regex_replace(a, 'a{10}', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb')",
    ],
)
def test_a_result_that_is_too_long_is_a_reject(expression: str) -> None:
    assert made(expression, a="a" * 400_000) == "too_long"


def test_too_many_parts_that_fit_a_pattern_are_a_reject() -> None:
    assert made("regex_replace(a, 'a', '')", a="a" * (texts.MOST_FITS + 1)) == "too_long"


def test_the_longest_result_is_none() -> None:
    replaced = texts.replacer("replace(a, 'a', 'bb')")
    assert len(replaced("a" * (texts.MOST_CHARS // 2), "a", "bb")) == texts.MOST_CHARS
    with pytest.raises(InvalidRecord) as caught:
        replaced("a" * (texts.MOST_CHARS // 2 + 1), "a", "bb")
    [error] = caught.value.errors
    assert (error.path, error.found) == (
        "replace(a, 'a', 'bb')",
        f"a result of {texts.MOST_CHARS + 2} characters",
    )


@pytest.mark.parametrize(
    ("expression", "path", "found"),
    [
        ("1 + int(s)", "int(s)", "text of 4 characters"),
        ("i // (i - 7)", "i // (i - 7)", "a division by zero"),
        ("i * 9223372036854775807", "i * 9223372036854775807", "a result beyond 64 bits"),
        ("int(substr(s, 0, 0 - i))", "substr(s, 0, 0 - i)", "whole number"),
    ],
)
def test_a_reject_names_the_expression_and_the_kind_of_the_value(
    expression: str, path: str, found: str
) -> None:
    [error] = outcome(expression, RECORD, "long", errors=True)
    assert (error.path, error.found) == (path, found)
