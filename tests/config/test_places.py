"""Names of headers and parameters, and paths to write to, are checked in every place of the
language that has them.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from config.conftest import RIGHT, Check

WINDOW = "{{type: window, start_{}, end_{}, size: 7d}}"
INCREMENTAL = "incremental: {field: at, initial: 2024-01-01T00:00:00Z}"


quoted = json.dumps
"""Text in quotes that YAML reads too."""


def source(text: str) -> str:
    return RIGHT.replace('items"}', f'items", {text}}}')


def window(start: str, end: str) -> str:
    return source(f"method: POST, {INCREMENTAL}, pagination: {WINDOW.format(start, end)}")


def within(start: str, end: str) -> str:
    style = f"{{type: offset, param: o, within: {WINDOW.format(start, end)}}}"
    return source(f"method: POST, {INCREMENTAL}, pagination: {style}")


def origin(auth: str) -> str:
    text = RIGHT.replace('url: "https://api.example.com/items"', "origin: o, path: /items")
    return f'{text}origins: {{o: {{url: "https://api.example.com", auth: {auth}}}}}\n'


AT = "pipelines.items.source."

# key -> the config with a text in that place
HEADERS: dict[str, Callable[[str], str]] = {
    AT + "headers.{}": lambda name: source(f"headers: {{{quoted(name)}: x}}"),
    AT + "auth.name": lambda name: source(
        f"auth: {{type: api_key, name: {quoted(name)}, value: x}}"
    ),
    "origins.o.auth.name": lambda name: origin(
        f"{{type: api_key, name: {quoted(name)}, value: x}}"
    ),
    AT + "pagination.total.header": lambda name: source(
        f"pagination: {{type: none, total: {{header: {quoted(name)}}}}}"
    ),
    AT + "pagination.header": lambda name: source(
        f"pagination: {{type: next_url, header: {quoted(name)}}}"
    ),
    AT + "pagination.from.header": lambda name: source(
        f"pagination: {{type: cursor, from: {{header: {quoted(name)}}}, to: {{param: c}}}}"
    ),
    AT + "pagination.to.header": lambda name: source(
        f"pagination: {{type: cursor, from: {{body: n}}, to: {{header: {quoted(name)}}}}}"
    ),
    AT + "pagination.total_pages.header": lambda name: source(
        f"pagination: {{type: page, param: p, total_pages: {{header: {quoted(name)}}}}}"
    ),
    AT + "pagination.start_to.header": lambda name: window(
        f"to: {{header: {quoted(name)}}}", "param: e"
    ),
    AT + "pagination.end_to.header": lambda name: window(
        "param: s", f"to: {{header: {quoted(name)}}}"
    ),
    AT + "pagination.within.start_to.header": lambda name: within(
        f"to: {{header: {quoted(name)}}}", "param: e"
    ),
    AT + "pagination.within.end_to.header": lambda name: within(
        "param: s", f"to: {{header: {quoted(name)}}}"
    ),
    AT + "incremental.from.header": lambda name: source(
        f"incremental: {{from: {{header: {quoted(name)}}}, param: since}}"
    ),
    AT + "incremental.to.header": lambda name: source(
        f"incremental: {{field: at, to: {{header: {quoted(name)}}}}}"
    ),
    **{
        AT + f"pagination.to.header ({style})": lambda name, style=style: source(  # type: ignore[misc]
            f"pagination: {{type: {style}, to: {{header: {quoted(name)}}}}}"
        )
        for style in ("page", "offset")
    },
}

PATHS: dict[str, Callable[[str], str]] = {
    AT + "pagination.to.body": lambda path: source(
        f"method: POST, pagination: {{type: cursor, from: {{body: n}}, to: {{body: {quoted(path)}}}}}"
    ),
    AT + "pagination.start_to.body": lambda path: window(
        f"to: {{body: {quoted(path)}}}", "param: e"
    ),
    AT + "pagination.end_to.body": lambda path: window("param: s", f"to: {{body: {quoted(path)}}}"),
    AT + "pagination.within.start_to.body": lambda path: within(
        f"to: {{body: {quoted(path)}}}", "param: e"
    ),
    AT + "pagination.within.end_to.body": lambda path: within(
        "param: s", f"to: {{body: {quoted(path)}}}"
    ),
    AT + "incremental.to.body": lambda path: source(
        f"method: POST, incremental: {{field: at, to: {{body: {quoted(path)}}}}}"
    ),
    **{
        AT + f"pagination.to.body ({style})": lambda path, style=style: source(  # type: ignore[misc]
            f"method: POST, pagination: {{type: {style}, to: {{body: {quoted(path)}}}}}"
        )
        for style in ("page", "offset")
    },
}

PARAMETERS: dict[str, Callable[[str], str]] = {
    AT + "auth.name": lambda name: source(
        f"auth: {{type: api_key, in: query, name: {quoted(name)}, value: x}}"
    ),
    AT + "pagination.to.param": lambda name: source(
        f"pagination: {{type: cursor, from: {{body: n}}, to: {{param: {quoted(name)}}}}}"
    ),
    AT + "pagination.size_param": lambda name: source(
        f"pagination: {{type: page, param: p, size: 5, size_param: {quoted(name)}}}"
    ),
    AT + "pagination.limit_param": lambda name: source(
        f"pagination: {{type: offset, param: o, limit: 5, limit_param: {quoted(name)}}}"
    ),
    AT + "pagination.start_param": lambda name: window(f"param: {quoted(name)}", "param: e"),
    AT + "pagination.end_param": lambda name: window("param: s", f"param: {quoted(name)}"),
    AT + "incremental.param": lambda name: source(
        f"incremental: {{field: at, param: {quoted(name)}}}"
    ),
    AT + "incremental.to.param": lambda name: source(
        f"incremental: {{field: at, to: {{param: {quoted(name)}}}}}"
    ),
    **{
        AT + f"pagination.param ({style})": lambda name, style=style: source(  # type: ignore[misc]
            f"pagination: {{type: {style}, param: {quoted(name)}}}"
        )
        for style in ("page", "offset")
    },
}


def key_of(case: str, text: str) -> str:
    """The key of a case: what stands in brackets tells apart the styles that have it."""
    return case.partition(" (")[0].format(text)


@pytest.mark.parametrize("case", HEADERS)
@pytest.mark.parametrize("name", ["X Page Token:", "", "Größe", "X-A\n"])
def test_a_header_that_no_request_can_carry_is_named_at_its_place(
    case: str, name: str, check: Check
) -> None:
    [problem] = check(HEADERS[case](name))
    assert (problem.code, problem.place.key) == ("not_allowed", key_of(case, name))
    if name == "" and "auth" in case:
        assert problem.found == "is empty"
        return
    assert "no name of a header" in problem.found
    assert (repr(name) in problem.found) != any(part in case for part in ("auth", "headers"))
    assert "letters, digits" in problem.allowed and "the name alone" in problem.remedy


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_of_any_name_that_is_one_is_taken(case: str, check: Check) -> None:
    assert not check(HEADERS[case]("x_page.token-2"))


@pytest.mark.parametrize("case", PATHS)
@pytest.mark.parametrize("path", ["a..b", ".a", "a.", ""])
def test_a_path_that_cannot_be_written_is_named_at_its_place(
    case: str, path: str, check: Check
) -> None:
    [problem] = check(PATHS[case](path))
    assert (problem.code, problem.place.key) == ("not_allowed", key_of(case, path))
    assert repr(path) in problem.found and "a key of it is empty" in problem.found
    assert "search.after" in problem.allowed and "dot" in problem.remedy


@pytest.mark.parametrize("case", PATHS)
def test_a_path_of_plain_keys_is_taken(case: str, check: Check) -> None:
    assert not check(PATHS[case]("query.after the-mark"))


@pytest.mark.parametrize("case", PARAMETERS)
def test_a_parameter_without_a_name_is_refused_at_its_place(case: str, check: Check) -> None:
    [problem] = check(PARAMETERS[case](""))
    assert (problem.code, problem.place.key) == ("not_allowed", key_of(case, ""))
    assert "empty" in problem.found
    assert not check(PARAMETERS[case]("after[]"))


def test_the_name_of_a_cookie_is_checked_like_that_of_a_header(check: Check) -> None:
    text = "auth: {{type: api_key, in: cookie, name: '{}', value: x}}"
    [problem] = check(source(text.format("my session")))
    assert problem.place.key == AT + "auth.name"
    assert "no name of a cookie" in problem.found
    assert not check(source(text.format("session")))


@pytest.mark.parametrize("where", ["header", "cookie"])
def test_a_prefix_that_no_header_can_carry_is_refused(where: str, check: Check) -> None:
    text = f'auth: {{type: api_key, in: {where}, name: k, value: x, prefix: "a\\nb"}}'
    [problem] = check(source(text))
    assert problem.place.key == AT + "auth.prefix"
    assert "one line" in problem.found
