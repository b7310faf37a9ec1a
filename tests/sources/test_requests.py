"""What a fetch looks like as a request."""

from __future__ import annotations

import json
from typing import Any

import pytest

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
