"""Credentials are found however they are written."""

from __future__ import annotations

import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from worker.http.redact import credentials_in, redact


def taken(text: str) -> str:
    """As a server takes a header for latin-1."""
    return text.encode().decode("latin-1")


WAYS = [
    str,
    lambda text: quote(text, safe=""),
    quote,
    json.dumps,
    taken,
    lambda text: json.dumps(taken(text)),
]

secrets = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=4, max_size=30
)


@given(secrets, st.text(max_size=30), st.text(max_size=30), st.sampled_from(WAYS))
def test_a_secret_is_found_however_it_is_written(
    secret: str, before: str, after: str, write: object
) -> None:
    written = write(secret)  # type: ignore[operator]
    found = redact(f"{before}{written}{after}", [secret])
    assert "***" in found
    if secret not in before + after and secret not in f"{before}***{after}":
        assert secret not in found


def test_the_parts_of_headers_that_are_secret() -> None:
    found = credentials_in(
        {
            "Authorization": "Basic bWU6aHVudGVyMg==",
            "Cookie": "session=abcdef",
            "X-Api-Key": "ApiKey 12345",
        },
        {"key": "qwertz"},
    )
    assert {"hunter2", "bWU6aHVudGVyMg==", "abcdef", "12345", "qwertz"} <= found


def test_short_ones_are_left_alone() -> None:
    assert credentials_in({}, {"k": "a"}) == set()
