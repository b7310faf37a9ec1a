"""A page whose positions hold the credential of the request is refused."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from worker.core.errors import PermanentError
from worker.core.model import Facts
from worker.http.client import Response
from worker.sources.echo import position_headers, refuse_echo
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
HEADERS = frozenset({"Link", "X-Next"})


def response(headers: dict[str, str], secret: str = SECRET) -> Response:
    credentials = {"Authorization": f"Bearer {secret}"} if secret else {}
    return Response(200, headers, b"", "https://h/p", credentials=credentials)


@pytest.mark.parametrize(("body", "last", "headers"), POSITIONS)
def test_a_position_with_the_credential_is_refused(
    body: dict[str, Any], last: dict[str, Any], headers: dict[str, str]
) -> None:
    facts = Facts(1, body, last)
    with pytest.raises(PermanentError, match="puts the credential"):
        refuse_echo(response(headers), facts, HEADERS)
    refuse_echo(response(headers, "another-secret"), facts, HEADERS)
    refuse_echo(response(headers, ""), facts, HEADERS)


def test_short_secrets_and_other_headers_are_not_looked_at() -> None:
    refuse_echo(response({}, "page"), Facts(1, {"next": "page=2"}), HEADERS)
    refuse_echo(response({"X-Debug": SECRET}), Facts(1), HEADERS)


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
    assert position_headers(config) == {"Link", "X-Next", "X-Total", "X-Mark"}
