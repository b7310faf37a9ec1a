"""A page whose positions hold the credential of the request is refused."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from multidict import CIMultiDict

from worker.core.errors import PermanentError
from worker.core.model import Facts
from worker.sources.echo import Positions
from worker.sources.http_config import HttpConfig

SECRET = 'k3y/+"ab12'
POSITIONS = [
    ({"next": f"https://h/p?key={SECRET}"}, {}, {}),
    ({"next": f"https://h/p?key={quote(SECRET, safe='')}"}, {}, {}),
    ({"token": {"at": [SECRET]}}, {}, {}),
    ({}, {"id": f"x{SECRET}"}, {}),
    ({}, {}, {"X-Next": quote(SECRET)}),
    ({}, {}, {"Link": f"<https://h/{quote(SECRET)}>; rel=next"}),
]


def source(pagination: dict[str, Any], **keys: Any) -> HttpConfig:
    return HttpConfig.model_validate(
        {"url": "https://api.example.com/v1", "pagination": pagination, **keys}
    )


READ_FROM_HEADERS = source({"type": "next_url", "header": "X-Next"})


@pytest.mark.parametrize(("body", "last", "headers"), POSITIONS)
def test_a_position_with_the_credential_is_refused(
    body: dict[str, Any], last: dict[str, Any], headers: dict[str, str]
) -> None:
    facts, positions = Facts(1, body, last), Positions(READ_FROM_HEADERS)
    with pytest.raises(PermanentError, match="puts the credential"):
        positions.refuse_echo(facts, headers, {SECRET})
    positions.refuse_echo(facts, headers, {"another-secret"})
    positions.refuse_echo(facts, headers, set())


def test_short_secrets_and_other_headers_are_not_looked_at() -> None:
    positions = Positions(READ_FROM_HEADERS)
    positions.refuse_echo(Facts(1, {"next": "page=2"}), {}, {"page"})
    positions.refuse_echo(Facts(1), {"X-Debug": SECRET}, {SECRET})


def test_a_secret_that_is_a_query_parameter_may_be_in_the_link_it_is_taken_out_of() -> None:
    key = {"params": {"key": {"env": "KEY"}}}
    link = f"https://h/p?key={quote(SECRET, safe='')}&page=2"
    follows = Positions(source({"type": "next_url", "path": "next"}, **key))
    follows.refuse_echo(Facts(1, {"next": link}), {}, {SECRET})
    with pytest.raises(PermanentError):
        follows.refuse_echo(Facts(1, {"next": link, "mark": link}), {}, {SECRET})
    token = {"type": "cursor", "from": {"body": "next"}, "to": {"param": "at"}}
    with pytest.raises(PermanentError):
        Positions(source(token, **key)).refuse_echo(Facts(1, {"next": link}), {}, {SECRET})


def test_a_secret_of_the_url_becomes_its_placeholder_in_links_only() -> None:
    link, in_url = f"/v1/{quote(SECRET, safe='')}/items?page=2", {"key": SECRET}
    facts = Facts(1, {"next": link, "mark": link})
    Positions(source({"type": "next_url", "path": "next"})).put_back(facts, {}, in_url)
    assert facts.body == {"next": "/v1/{secret.key}/items?page=2", "mark": link}
    headers = {"link": f"<{link}>; rel=next", "X-Other": link}
    changed = Positions(source({"type": "link_header"})).put_back(
        Facts(1), CIMultiDict(headers), in_url
    )
    assert changed["Link"] == "</v1/{secret.key}/items?page=2>; rel=next"
    assert changed["X-Other"] == link


def test_positions_are_read_from_the_headers_that_the_config_names() -> None:
    config = HttpConfig.model_validate(
        {
            "url": "https://api.example.com/v1",
            "pagination": {
                "type": "cursor",
                "from": {"header": "X-Next"},
                "to": {"param": "at"},
                "total": {"header": "X-Total"},
            },
            "incremental": {"from": {"header": "X-Mark"}, "param": "since"},
        }
    )
    assert Positions(config).headers == {"Link", "X-Next", "X-Total", "X-Mark"}
