"""What a fetch looks like as a request."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from worker.core.errors import PermanentError
from worker.core.model import Request
from worker.paging.spec import Fetch
from worker.paging.style import Address
from worker.sources.http_config import HttpConfig
from worker.sources.requests import build_request


def request(
    source: dict[str, Any], address: Address | None = None, *, since: Any = None, **fetch: Any
) -> Request:
    config = HttpConfig.model_validate(
        {
            "url": "https://api.example.com/{partition.region}/items",
            "partitions": {"region": ["eu"]},
            **source,
        }
    )
    asked = Fetch(
        position=None,
        address=address or Address(),
        since=since,
        speculative=False,
        first=True,
        generation=0,
        size=0,
        **fetch,
    )
    return build_request(config, asked, {"region": "eu"})


def body_of(found: Request) -> Any:
    assert found.body is not None
    return json.loads(found.body)


def test_placeholders_are_filled_in_url_params_headers_and_body() -> None:
    found = request(
        {
            "method": "POST",
            "params": {"r": "in {partition.region}", "n": 5, "all": True, "half": 0.5},
            "headers": {"X-Region": "{partition.region}"},
            "body": {"where": [{"region": "{partition.region}"}, 3], "since": "{mark}"},
            "incremental": {"field": "at"},
        },
        since=7,
    )
    assert found.url == "https://api.example.com/eu/items"
    assert found.params == (("r", "in eu"), ("n", "5"), ("all", "true"), ("half", "0.5"))
    assert found.headers == (("X-Region", "eu"), ("Content-Type", "application/json"))
    assert body_of(found) == {"where": [{"region": "eu"}, 3], "since": "7"}


def test_a_mark_that_is_not_there_yet_is_an_empty_text() -> None:
    source = {"params": {"from": "{mark}"}, "incremental": {"field": "at"}}
    assert request(source).params == (("from", ""),)


@pytest.mark.parametrize(
    ("target", "params", "headers", "body"),
    [
        ({"param": "since"}, (("since", "5"),), (), None),
        ({"to": {"header": "X-Since"}}, (), (("X-Since", "5"),), None),
        (
            {"to": {"body": "query.since"}},
            (),
            (("Content-Type", "application/json"),),
            {"query": {"since": 5}},
        ),
    ],
)
def test_a_mark_goes_where_the_config_says_and_keeps_its_type_in_a_body(
    target: dict[str, Any], params: Any, headers: Any, body: Any
) -> None:
    source = {"method": "POST", "incremental": {"field": "at", **target}}
    found = request(source, since=5)
    assert (found.params, found.headers) == (params, headers)
    assert (None if found.body is None else body_of(found)) == body
    assert request(source) == Request("POST", "https://api.example.com/eu/items")


def test_first_params_are_sent_only_while_there_is_no_mark() -> None:
    source = {
        "params": {"full": False},
        "incremental": {
            "field": "at",
            "param": "since",
            "first": {"full": True, "r": "{partition.region}"},
        },
    }
    assert request(source, unmarked=True).params == (("full", "true"), ("r", "eu"))
    assert request(source, since="t").params == (("full", "false"), ("since", "t"))


def test_a_position_goes_over_the_config_and_the_mark() -> None:
    found = request(
        {
            "method": "POST",
            "params": {"page": 1, "limit": 10},
            "headers": {"X-Page": "1"},
            "body": {"page": {"no": 1, "size": 10}, "list": [1]},
            "incremental": {"field": "at", "param": "since"},
        },
        Address(
            params={"page": "2", "since": "later"},
            headers={"X-Page": "2"},
            body={"page.no": 2, "list.inner": 3, "new.key": None},
        ),
        since="t",
    )
    assert found.params == (("page", "2"), ("limit", "10"), ("since", "later"))
    assert found.headers == (("X-Page", "2"), ("Content-Type", "application/json"))
    assert body_of(found) == {
        "page": {"no": 2, "size": 10},
        "list": {"inner": 3},
        "new": {"key": None},
    }


def test_a_followed_url_is_sent_verbatim() -> None:
    link = "https://api.example.com/next?b=%20&a="
    found = request(
        {
            "params": {"limit": 10},
            "headers": {"Accept": "application/json"},
            "incremental": {"field": "at", "param": "since"},
        },
        Address(url=link),
        since="t",
    )
    assert found == Request("GET", link, headers=(("Accept", "application/json"),), followed=True)


def test_a_followed_link_of_a_post_keeps_the_keys_of_its_window() -> None:
    link = "https://api.example.com/next?c=2"
    address = Address(url=link, body={"range.from": 5, "range.to": 9})
    found = request({"method": "POST", "body": {"q": "x"}}, address)
    assert found.followed and found.url == link
    assert body_of(found) == {"q": "x", "range": {"from": 5, "to": 9}}
    assert found.headers == (("Content-Type", "application/json"),)


# -- what is filled in ------------------------------------------------------------------------------

VALUES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(
    lambda text: text not in (".", "..")
)


def asked(url: str, value: str, *, mark: Any = None, **source: Any) -> Request:
    """The request for the partition `x` with a value; its config lists another one."""
    config = HttpConfig.model_validate({"url": url, "partitions": {"x": ["one"]}, **source})
    fetch = Fetch(
        position=None,
        address=Address(),
        since=mark,
        speculative=False,
        first=True,
        generation=0,
        size=0,
    )
    return build_request(config, fetch, {"x": value})


@given(VALUES, VALUES)
def test_a_value_in_a_url_is_read_back_where_it_was_written(value: str, mark: str) -> None:
    url = "https://h/langs/{partition.x}/items?a={partition.x}&b={mark}&c=%2f+"
    found = asked(url, value, mark=mark, incremental={"field": "at", "from": None})
    parts = urlsplit(found.url)
    assert [unquote(each) for each in parts.path.split("/")] == ["", "langs", value, "items"]
    assert parse_qsl(parts.query) == [("a", value), ("b", mark), ("c", "/ ")]
    assert parts.query.endswith("&c=%2f+") and found.url.isascii()


@given(VALUES)
def test_a_value_elsewhere_is_filled_in_as_it_is(value: str) -> None:
    found = asked(
        "https://h/a",
        value,
        method="POST",
        params={"p": "in {partition.x}"},
        body={"q": "{partition.x}"},
    )
    assert found.params == (("p", f"in {value}"),) and body_of(found) == {"q": value}


@pytest.mark.parametrize("value", ["{mark}", "{partition.x}", "{partition.y}", "{}"])
def test_braces_in_a_value_are_data(value: str) -> None:
    found = asked(
        "https://h/a",
        value,
        mark="m",
        params={"p": "{partition.x}{mark}"},
        incremental={"field": "at"},
    )
    assert found.params == (("p", f"{value}m"),)


def test_a_path_keeps_its_separators_where_the_config_says_so() -> None:
    assert (
        asked("https://h/repos/{partition.x:path}", "a b/c#d").url == "https://h/repos/a%20b/c%23d"
    )
    assert asked("https://h/repos/{partition.x}", "a b/c#d").url == "https://h/repos/a%20b%2Fc%23d"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("{partition.x}", ".."),
        ("{partition.x}", "."),
        ("{partition.x}", ""),
        (".{partition.x}", "."),
        ("{partition.x:path}", "a/../b"),
        ("{partition.x:path}", "a//b"),
        ("{partition.x:path}", "/a"),
        ("{partition.x:path}", "a/"),
        ("{partition.x:path}", "."),
    ],
)
def test_a_segment_that_leads_elsewhere_is_refused(place: str, value: str) -> None:
    with pytest.raises(PermanentError, match="names another place"):
        asked(f"https://h/a/{place}/b", value)
    with pytest.raises(ValidationError, match="names another place"):
        HttpConfig.model_validate(
            {"url": f"https://h/a/{place}/b", "partitions": {"x": ["fine", value]}}
        )


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("https://h/a?b={partition.x}", ".."),
        ("https://h/a?b={partition.x}", ""),
        ("https://h/v{partition.x}", "..".strip()),
        ("https://h/v{partition.x}", ""),
        ("https://h/{partition.x}", "..."),
        ("https://h/{partition.x}", "a/../b"),
    ],
)
def test_a_value_that_stays_in_its_place_is_not_refused(url: str, value: str) -> None:
    assert asked(url, value).url.startswith("https://h/")
    HttpConfig.model_validate({"url": url, "partitions": {"x": ["fine", value]}})


@pytest.mark.parametrize(
    "source",
    [
        {"url": "https://h/a?b={partition.x:path}"},
        {"url": "https://h/{partition.x:query}"},
        {"url": "https://h/{partition.x:}"},
        {"url": "https://h/a", "params": {"p": "{partition.x:path}"}},
    ],
)
def test_path_has_a_meaning_in_a_path_only(source: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="has no meaning here"):
        HttpConfig.model_validate({**source, "partitions": {"x": ["a"]}})


# -- the mark ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("incremental", "since", "sent"),
    [
        ({"format": {"record": "epoch_s"}, "initial": 0}, 0, 0),
        ({"format": {"record": "epoch_s"}, "initial": 0}, "1714979205", 1714979205),
        ({"format": {"record": "epoch_s"}}, "1714979205", 1714979205),
        ({"format": {"record": "int"}}, "-7", -7),
        ({"format": {"record": "rfc3339", "param": "epoch_ms"}}, "1714979205000", 1714979205000),
        (
            {"format": {"record": "epoch_s", "param": "rfc3339"}},
            "2024-05-06T07:06:45Z",
            "2024-05-06T07:06:45Z",
        ),
        ({"format": {"record": "int"}, "initial": "0"}, "0", "0"),
        ({"format": {"record": "int"}, "initial": "0"}, "12", "12"),
        ({"format": {"record": "string"}}, "12", "12"),
        ({"from": {"body": "next"}}, "12", "12"),
        ({"from": {"body": "next"}}, 12, 12),
    ],
)
def test_a_mark_keeps_its_json_type_in_a_body(
    incremental: dict[str, Any], since: Any, sent: Any
) -> None:
    field = {} if "from" in incremental else {"field": "at"}
    carried = {**field, "to": {"body": "q.since"}, **incremental}
    found = request({"method": "POST", "incremental": carried}, since=since)
    assert body_of(found) == {"q": {"since": sent}}


@pytest.mark.parametrize(
    ("since", "text"), [(7, "7"), (True, "true"), ("t", "t"), ({"a": [1]}, '{"a":[1]}')]
)
def test_a_mark_within_a_text_is_text(since: Any, text: str) -> None:
    source = {
        "method": "POST",
        "params": {"p": "{mark}"},
        "body": {"since": "{mark}", "expr": "at > {mark}"},
        "incremental": {"from": {"body": "next"}},
    }
    found = request(source, since=since)
    assert found.params == (("p", text),)
    assert body_of(found) == {"since": text, "expr": f"at > {text}"}


def test_a_list_repeats_its_parameter_and_each_value_has_its_placeholders_filled() -> None:
    source = {
        "params": {"tag": ["a b", "{partition.region}", 5, True], "one": ["x"]},
        "incremental": {"field": "at", "param": "since", "first": {"f": [1, "{mark}"]}},
    }
    found = request(source, since="t", unmarked=True)
    tags = (("tag", "a b"), ("tag", "eu"), ("tag", "5"), ("tag", "true"))
    first = (("f", "1"), ("f", "t"))
    assert found.params == (*tags, ("one", "x"), *first, ("since", "t"))
    assert request(source, unmarked=True).params[-2:] == (("f", "1"), ("f", ""))


def test_parameters_of_the_first_requests_replace_all_values_of_one_name() -> None:
    source = {"params": {"t": ["a", "b"]}, "incremental": {"field": "at", "first": {"t": "c"}}}
    source["incremental"]["to"] = {"param": "s"}  # type: ignore[index]
    assert request(source, unmarked=True).params == (("t", "c"),)


@pytest.mark.parametrize("url", ["https://h/a", "https://h/a?b=1"])
def test_a_token_that_is_encoded_already_goes_out_as_it_came(url: str) -> None:
    found = request({"url": url, "partitions": {}, "params": {"c": "*", "n": 1}}, QUERY)
    assert found.url == f"{url}{'&' if '?' in url else '?'}c=a%2Bb%3d+"
    assert found.params == (("n", "1"),)


QUERY = Address(query={"c": "a%2Bb%3d+"})


def test_a_position_goes_into_an_element_of_an_array_and_leaves_the_others() -> None:
    source = {"method": "POST", "body": {"q": [{"i": "a"}, {"i": "b", "at": 0}], "ids": [1, None]}}
    found = body_of(request(source, Address(body={"q.1.at": 5, "q.0.x.0": 1, "ids.1": [2]})))
    assert found == {"q": [{"i": "a", "x": {"0": 1}}, {"i": "b", "at": 5}], "ids": [1, [2]]}
    assert source["body"]["q"][1]["at"] == 0, "the config is as it was"  # type: ignore[index]


@pytest.mark.parametrize(
    ("link", "followed"),
    [
        ("http://inner:8080/items?page=2&x=%2F", "https://api.example.com/items?page=2&x=%2F"),
        ("HTTPS://10.0.0.1/a", "https://api.example.com/a"),
        ("http://user:pw@inner/a", "https://api.example.com/a"),
        ("https://inner?page=2", "https://api.example.com/?page=2"),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("ftp://inner/a", "ftp://inner/a"),
    ],
)
def test_a_link_is_followed_at_our_origin_where_the_config_keeps_it(
    link: str, followed: str
) -> None:
    source = {"pagination": {"type": "link_header"}}
    assert request(source, Address(url=link)).url == link
    assert request(source | {"next_origin": "keep"}, Address(url=link)).url == followed


def test_a_form_is_filled_and_encoded_as_browsers_do() -> None:
    found = request(
        {
            "method": "POST",
            "form": {"r": "in {partition.region}", "n": 5, "all": True, "tag": ["a b", "c&d"]},
            "incremental": {"field": "at", "to": {"form": "since"}},
        },
        Address(form={"n": "6", "page": "2"}),
        since="2024-01-01T00:00:00+02:00",
    )
    assert found.body == (
        b"r=in+eu&n=6&all=true&tag=a+b&tag=c%26d&since=2024-01-01T00%3A00%3A00%2B02%3A00&page=2"
    )
    assert found.headers == (("Content-Type", "application/x-www-form-urlencoded"),)


def test_a_form_is_made_where_a_position_goes_into_one() -> None:
    source = {"method": "POST", "pagination": {"type": "page", "to": {"form": "page"}}}
    assert request(source, Address(form={"page": "1"})).body == b"page=1"


def test_text_is_sent_as_it_is_but_for_its_placeholders() -> None:
    source = {
        "method": "POST",
        "text": "{ items(r: {partition.region}, since: {mark}) { é } {other} }",
        "incremental": {"field": "at"},
    }
    found = request(source, since=7)
    assert found.body == "{ items(r: eu, since: 7) { é } {other} }".encode()
    assert found.headers == (("Content-Type", "text/plain; charset=utf-8"),)
    typed = request({**source, "headers": {"content-type": "application/graphql"}}, since=7)
    assert typed.headers == (("content-type", "application/graphql"),)


@given(st.dictionaries(st.text(min_size=1), st.lists(st.text(), min_size=2), min_size=1))
def test_any_form_is_read_as_it_was_meant(form: dict[str, list[str]]) -> None:
    encodable = {key: [each.replace("{", "") for each in values] for key, values in form.items()}
    found = request({"method": "POST", "form": encodable})
    assert found.body is not None
    pairs = parse_qsl(found.body.decode(), keep_blank_values=True, encoding="utf-8")
    assert pairs == [(key, each) for key, values in encodable.items() for each in values]
