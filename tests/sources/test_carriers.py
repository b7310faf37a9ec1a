"""No place of a request has two values, and none hides what is configured there."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from worker.sources.http_config import HttpConfig

PAGE = {"type": "page", "param": "page"}
CURSOR = {"type": "cursor", "from": {"body": "next"}}
RANGE = {"field": "at", "initial": "2024-01-01T00:00:00Z"}
WINDOW = {"type": "window", "start_param": "from", "end_param": "to", "size": "1d"}
KEY = {"type": "api_key", "value": "k"}


def config(**source: Any) -> HttpConfig:
    return HttpConfig.model_validate({"url": "https://h/a", **source})


TWICE: dict[str, tuple[dict[str, Any], str, str]] = {
    # what -> source, place of the error, words
    "size and number": (
        {"pagination": {**PAGE, "size_param": "page", "size": 5}},
        "pagination.size_param",
        "page is sent twice: by pagination.param and by pagination.size_param",
    ),
    "limit and offset": (
        {"pagination": {"type": "offset", "param": "n", "limit_param": "n", "limit": 5}},
        "pagination.limit_param",
        "n is sent twice",
    ),
    "the mark and the number": (
        {"pagination": PAGE, "incremental": {**RANGE, "param": "page"}},
        "incremental.param",
        "page is sent twice",
    ),
    "a key and a window": (
        {
            "pagination": WINDOW,
            "incremental": RANGE,
            "auth": {**KEY, "in": "query", "name": "from"},
        },
        "auth.name",
        "from is sent twice",
    ),
    "a token and the credentials": (
        {
            "pagination": {**CURSOR, "to": {"header": "authorization"}},
            "auth": {"type": "bearer", "token": "t"},
        },
        "auth.type",
        "the header Authorization is sent twice: by pagination.to",
    ),
    "a key in a header and the mark": (
        {"incremental": {**RANGE, "to": {"header": "x-api-key"}}, "auth": KEY},
        "auth.name",
        "X-Api-Key is sent twice",
    ),
    "a path within another one": (
        {
            "method": "POST",
            "pagination": {"type": "page", "to": {"body": "q.page"}},
            "incremental": {**RANGE, "to": {"body": "q"}},
        },
        "incremental.to",
        "the path in the body q is sent twice",
    ),
    "headers that differ in case": (
        {"headers": {"X-A": "1", "x-a": "2"}},
        "headers.x-a",
        "names of headers ignore case",
    ),
    "a parameter of the url and the number": (
        {"url": "https://h/a?page=1", "pagination": PAGE},
        "pagination.param",
        "page is sent twice: it stands in the query of url",
    ),
    "an encoded parameter of the url": (
        {"url": "https://h/a?p%61ge=1", "pagination": PAGE},
        "pagination.param",
        "page is sent twice",
    ),
    "a parameter of the url and a configured one": (
        {"url": "https://h/a?tag=a", "params": {"tag": "b"}},
        "params.tag",
        "tag is sent twice",
    ),
    "a parameter of the url and a first one": (
        {"url": "https://h/a?full=0", "incremental": {**RANGE, "param": "s", "first": {"full": 1}}},
        "incremental.first.full",
        "full is sent twice",
    ),
    "a parameter of the url and a token": (
        {"url": "https://h/a?c=*", "pagination": {**CURSOR, "to": {"param": "c"}}},
        "pagination.to",
        "c is sent twice",
    ),
    "a key in the query and a configured parameter": (
        {"params": {"key": "x"}, "auth": {**KEY, "in": "query", "name": "key"}},
        "params.key",
        "key is sent twice: here, and by auth",
    ),
}


@pytest.mark.parametrize("name", TWICE)
def test_a_place_that_is_filled_twice_is_refused(name: str) -> None:
    source, place, words = TWICE[name]
    with pytest.raises(ValidationError) as caught:
        config(**source)
    [error] = caught.value.errors()
    assert ".".join(map(str, error["loc"])) == place
    assert words in error["msg"]


@pytest.mark.parametrize(
    "source",
    [
        {"url": "https://h/a?tag=a&tag=b", "params": {"other": 1}},
        # the first request has the mark, and the token goes on from it
        {
            "pagination": {**CURSOR, "to": {"param": "c"}},
            "incremental": {"from": {"body": "next"}, "param": "c", "initial": "0"},
        },
        # the first request has the configured value
        {"params": {"c": "*"}, "pagination": {**CURSOR, "to": {"param": "c"}}},
        {
            "method": "POST",
            "body": {"q": {"after": None}},
            "pagination": {**CURSOR, "to": {"body": "q.after"}},
        },
        {"pagination": WINDOW, "incremental": RANGE},
        {
            "method": "POST",
            "pagination": {"type": "page", "to": {"body": "q.page"}},
            "incremental": {**RANGE, "to": {"body": "q.since"}},
        },
        {"headers": {"Authorization": "x"}},
        {"pagination": {**CURSOR, "to": {"header": "X-C"}}, "params": {"X-C": 1}},
    ],
)
def test_places_of_their_own_are_fine(source: dict[str, Any]) -> None:
    config(**source)


@pytest.mark.parametrize(
    ("body", "target", "words"),
    [
        ({"q": 5}, {"body": "q.r"}, "body.q is no object"),
        ({"q": [1]}, {"body": "q.r.s"}, "body.q is no object"),
        ({"q": {"r": "x"}}, {"body": "q.r.s"}, "body.q.r is no object"),
        ([1], {"body": "q"}, "body is no object"),
        ("text", {"body": "q"}, "body is no object"),
        ({"q": {"r": 1}}, {"body": "q.r"}, "each request has something else there"),
        ({"q": {"r": {"s": 1}}}, {"body": "q.r"}, "each request has something else there"),
    ],
)
def test_a_configured_value_of_the_body_is_not_replaced_unseen(
    body: Any, target: dict[str, str], words: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        config(method="POST", body=body, pagination={"type": "page", "to": target})
    [error] = caught.value.errors()
    assert error["loc"] == ("pagination", "to") and words in error["msg"]


@pytest.mark.parametrize("body", [None, {}, {"q": {}}, {"q": {"x": 1}}, {"q": {"r": None}}])
def test_what_is_missing_in_the_body_is_made(body: Any) -> None:
    config(method="POST", body=body, pagination={"type": "page", "to": {"body": "q.r"}})


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ({"pagination": {"type": "page", "to": {"body": "p"}}}, "pagination.to"),
        ({"pagination": {**CURSOR, "to": {"body": "p"}}}, "pagination.to"),
        ({"incremental": {**RANGE, "to": {"body": "p"}}}, "incremental.to"),
        (
            {
                "incremental": RANGE,
                "pagination": {
                    "type": "window",
                    "start_to": {"body": "p"},
                    "end_param": "e",
                    "size": "1d",
                },
            },
            "pagination.start_to",
        ),
    ],
)
def test_a_get_has_no_body_to_write_to(source: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        config(**source)
    [error] = caught.value.errors()
    assert ".".join(map(str, error["loc"])) == place and "a GET has none" in error["msg"]
    config(method="POST", **source)


@pytest.mark.parametrize("name", ["Content-Length", "host", "Transfer-Encoding", "connection"])
def test_a_header_of_the_connection_carries_nothing(name: str) -> None:
    for source in (
        {"pagination": {**CURSOR, "to": {"header": name}}},
        {"incremental": {**RANGE, "to": {"header": name}}},
        {"auth": {**KEY, "name": name}},
    ):
        with pytest.raises(ValidationError, match="belongs to the connection"):
            config(**source)
    if name != "host":
        with pytest.raises(ValidationError, match="belongs to the connection"):
            config(headers={name: "x"})


def test_a_virtual_host_may_be_named() -> None:
    assert config(headers={"Host": "www.example.com"}).headers


@pytest.mark.parametrize(
    ("auth", "key"),
    [
        ({"type": "bearer", "token": "a\n"}, "token"),
        ({"type": "basic", "username": "a", "password": "b\x7f"}, "password"),
        ({**KEY, "value": "a\r\nb"}, "value"),
        (
            {
                "type": "oauth2_client_credentials",
                "token_url": "https://h/t",
                "client_id": "a",
                "client_secret": "\x00",
            },
            "client_secret",
        ),
    ],
)
def test_a_literal_secret_that_no_header_can_carry_is_refused_at_its_key(
    auth: dict[str, Any], key: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        config(auth=auth)
    [error] = caught.value.errors()
    assert error["loc"] == ("auth", "one kind", key) and "control characters" in error["msg"]


@pytest.mark.parametrize("value", ["a\x7f", "a\nb", "\x00"])
def test_a_header_with_control_characters_is_refused_when_it_is_read(value: str) -> None:
    with pytest.raises(ValidationError, match="control characters"):
        config(headers={"X-A": value})
    assert config(headers={"X-A": "a\tb ü"}).headers


@pytest.mark.parametrize("key", ["start", "size"])
@pytest.mark.parametrize("value", [True, "1", 1.0, 1.5])
def test_numbers_of_pages_are_whole_numbers(key: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        config(pagination={**PAGE, "size_param": "n", "size": 5, key: value})
    offset = {"type": "offset", "param": "o", "limit_param": "n", "limit": 5}
    with pytest.raises(ValidationError):
        config(pagination={**offset, {"start": "start", "size": "limit"}[key]: value})


@pytest.mark.parametrize("requests", [1e-300, 0, -1, True])
def test_a_rate_limit_lets_something_through(requests: Any) -> None:
    with pytest.raises(ValidationError):
        config(rate_limit={"requests": requests, "per": "1s"})
    assert config(rate_limit={"requests": 0.5, "per": "1s"}).rate_limit


def test_a_partition_value_that_no_header_can_carry_is_refused_at_its_place() -> None:
    source = {"partitions": {"a": ["fine", "b\nc"]}, "headers": {"X-A": "{partition.a}"}}
    with pytest.raises(ValidationError) as caught:
        config(**source)
    [error] = caught.value.errors()
    assert error["loc"] == ("partitions", "a", 1) and "control characters" in error["msg"]
    config(partitions=source["partitions"], params={"a": "{partition.a}"})


def test_a_parameter_has_a_name() -> None:
    with pytest.raises(ValidationError):
        config(params={"": 1})
    with pytest.raises(ValidationError):
        config(incremental={**RANGE, "param": "s", "first": {"": 1}})


@pytest.mark.parametrize(
    ("body", "path", "words"),
    [
        ({"q": [{"at": 0}]}, "q.0.at", ""),
        ({"q": [{}, {}]}, "q.1.search.after", ""),
        ({"q": [[{}]]}, "q.0.0.at", ""),
        ([{"at": 0}], "0.at", ""),
        ({"ids": [None]}, "ids.0", ""),
        ({"q": [{"at": {"page": 1}}]}, "q.0.at", "each request has something else there"),
        ({"q": [{"index": "items"}]}, "q.0", "each request has something else there"),
        ({"q": {"0": {}}}, "q.0.at", ""),
        ({"q": [{}]}, "q.1.at", "the array body.q has 1 elements"),
        ({"q": []}, "q.0.at", "the array body.q has 0 elements"),
        ({"q": [{}]}, "q.00.at", "body.q is no object"),
        ({"q": [{}]}, "q.-1.at", "body.q is no object"),
        ({"q": [5]}, "q.0.at", "body.q.0 is no object"),
        ({}, "q.0.at", "only objects are created"),
        (None, "q.0.at", "only objects are created"),
        (None, "0.at", "only objects are created"),
        ({"q": None}, "q.0.at", "only objects are created"),
    ],
)
@pytest.mark.parametrize("place", ["page", "mark", "window"])
def test_an_index_of_a_write_path_is_that_of_an_element_which_is_there(
    body: Any, path: str, words: str, place: str
) -> None:
    target = {"body": path}
    sources: dict[str, dict[str, Any]] = {
        "page": {"pagination": {"type": "page", "to": target}},
        "mark": {"incremental": {**RANGE, "to": target}},
        "window": {
            "pagination": {"type": "window", "start_to": target, "end_param": "to", "size": "1d"},
            "incremental": RANGE,
        },
    }
    if not words:
        assert config(method="POST", body=body, **sources[place])
        return
    with pytest.raises(ValidationError) as caught:
        config(method="POST", body=body, **sources[place])
    assert words in caught.value.errors()[0]["msg"]


def test_a_parameter_with_several_values_is_not_filled_by_a_token_too() -> None:
    token = {"pagination": {**CURSOR, "to": {"param": "c"}}}
    assert config(params={"c": "*"}, **token)
    for several in ({"params": {"c": ["a", "b"]}}, {"incremental": FIRST}):
        with pytest.raises(ValidationError) as caught:
            config(**several, **token)
        [error] = caught.value.errors()
        assert error["loc"] == ("pagination", "to")
        assert "has several values in params" in error["msg"]


FIRST = {**RANGE, "param": "since", "first": {"c": ["a", "b"]}}


FORMS: dict[str, tuple[dict[str, Any], str, str]] = {
    # what -> source, place of the error, words
    "a form of a GET": ({"form": {"a": 1}}, "form", "a form needs method: POST"),
    "text of a GET": ({"text": "a"}, "text", "a text needs method: POST"),
    "a form beside a body": (
        {"method": "POST", "form": {"a": 1}, "body": {}},
        "form",
        "body and form are both given",
    ),
    "text beside a form": (
        {"method": "POST", "form": {"a": 1}, "text": ""},
        "text",
        "form and text are both given",
    ),
    "a position in a form of a GET": (
        {"pagination": {"type": "page", "to": {"form": "p"}}},
        "pagination.to",
        "p goes into the body, and a GET has none",
    ),
    "a position in a form beside a body": (
        {"method": "POST", "body": {}, "pagination": {"type": "page", "to": {"form": "p"}}},
        "pagination.to",
        "p goes into a form, and the requests have a body instead",
    ),
    "a position in a body beside text": (
        {"method": "POST", "text": "x", "pagination": {"type": "page", "to": {"body": "p"}}},
        "pagination.to",
        "p goes into a body, and the requests have a text instead",
    ),
    "a position in a form and the mark in a body": (
        {
            "method": "POST",
            "pagination": {"type": "page", "to": {"form": "p"}},
            "incremental": {**RANGE, "to": {"body": "since"}},
        },
        "incremental.to",
        "since goes into a body, and the requests have a form instead",
    ),
    "one field twice": (
        {
            "method": "POST",
            "pagination": {"type": "page", "to": {"form": "p"}},
            "incremental": {**RANGE, "to": {"form": "p"}},
        },
        "incremental.to",
        "the field p is sent twice",
    ),
    "a field of several values and a token": (
        {
            "method": "POST",
            "form": {"p": ["a", "b"]},
            "pagination": {**CURSOR, "to": {"form": "p"}},
        },
        "pagination.to",
        "the field p has several values in form",
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_request_has_one_body(name: str) -> None:
    source, place, words = FORMS[name]
    with pytest.raises(ValidationError) as raised:
        config(**source)
    found = [(".".join(map(str, each["loc"])), each["msg"]) for each in raised.value.errors()]
    assert any(at == place and words in said for at, said in found), found


def test_a_token_takes_over_a_field_of_the_form() -> None:
    source = config(
        method="POST",
        form={"p": "first", "q": "x"},
        pagination={**CURSOR, "to": {"form": "p"}},
    )
    assert source.form == {"p": "first", "q": "x"}
