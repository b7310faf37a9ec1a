"""Credentials are found however they are written."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.http.redact import credentials_in, echoes, redact, url_stripper


def taken(text: str) -> str:
    """As a server takes a header for latin-1."""
    return text.encode().decode("latin-1")


WAYS = [
    str,
    lambda text: quote(text, safe=""),
    quote_plus,
    lambda text: quote_plus(text).replace("%2B", "%2b"),
    quote,
    json.dumps,
    taken,
    lambda text: json.dumps(taken(text)),
]

secrets = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=4, max_size=30
)

unescaped = st.text(st.characters(exclude_characters="%\\"), max_size=30)


@given(secrets, st.text(max_size=30), st.text(max_size=30), st.sampled_from(WAYS))
@example("my pass", "", "", quote_plus)
def test_a_secret_is_found_however_it_is_written(
    secret: str, before: str, after: str, write: Callable[[str], str]
) -> None:
    written = write(secret)
    found = redact(f"{before}{written}{after}", [secret])
    assert "***" in found
    if secret not in before + after and secret not in f"{before}***{after}":
        assert secret not in found


@given(secrets, unescaped, unescaped, st.sampled_from(WAYS))
@example("aaa%41", "", "", json.dumps)
@example("a b+c", "", "", quote_plus)
@example('a\\b"%41', "", "", json.dumps)
@example("\U0001f511key", "", "", json.dumps)
def test_what_is_redacted_is_seen_as_an_echo(
    secret: str, before: str, after: str, write: Callable[[str], str]
) -> None:
    assert echoes([before, f"{before}{write(secret)}{after}"], [secret])


@given(st.text(max_size=40), secrets)
def test_text_that_holds_no_secret_is_no_echo(text: str, secret: str) -> None:
    known = redact(text, [secret]) != text or secret in unquote(text)
    unusual = "%" in text or "\\" in text or "+" in secret
    assert known or unusual or not echoes([text], [secret])


def test_an_echo_is_seen_through_two_encodings() -> None:
    link = f"next={quote(json.dumps({'url': quote('k3y/+ab')}), safe='')}"
    assert echoes([link], ["k3y/+ab"])


@pytest.mark.parametrize(
    ("url", "stripped"),
    [
        ("https://h/p?a=1&key=s&b=2", "https://h/p?a=1&b=2"),
        ("https://h/p?key=s", "https://h/p"),
        ("https://h/p?a=1&key=s", "https://h/p?a=1"),
        ("https://h/p?monkey=s", "https://h/p?monkey=s"),
        ("https://h/p?%6bey=s&a=1", "https://h/p?a=1"),
        ("https://h/p?a=1&%6B%65y=s&toke%6e%2ex=t", "https://h/p?a=1"),
        ("https://me:pw@h/p?key=s#part", "https://h/p?#part"),
        ("https://h/p?a=%20x&x%5B%5D=1", "https://h/p?a=%20x&x%5B%5D=1"),
    ],
)
def test_secret_parameters_and_user_info_are_stripped_from_a_url(url: str, stripped: str) -> None:
    assert url_stripper(("key", "token.x"))(url) == stripped


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
