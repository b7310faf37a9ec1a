"""Secrets in URLs: filled in where a request leaves, and never kept."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import PermanentError
from worker.core.urls import as_written
from worker.http.in_url import filled, names_in, put_back

TEMPLATE = "https://h/v1/{secret.key}/items/x{secret.key}.json?a=1&k={secret.key}"
SEPARATORS = frozenset('/?&=#<>;,"')
SECRETS = st.text(min_size=8, max_size=30) | st.text(min_size=1, max_size=7).filter(
    lambda text: (
        text not in (".", "..") and SEPARATORS.isdisjoint(text) and text == "".join(text.split())
    )
)


@given(SECRETS)
def test_a_secret_that_comes_back_is_its_placeholder_again(secret: str) -> None:
    template = "https://h/v1/{secret.key}/items?a=1&k={secret.key}"
    link = filled(template, {"key": secret})
    assert "{" not in link.replace(quote("{"), "")
    if secret not in ("https:", "h", "v1", "items", "a", "1", "k"):
        assert put_back(link, {"key": secret}) == template


def test_a_long_secret_is_recognised_within_a_segment_in_each_way_of_writing() -> None:
    secret = "s3cret/+key="
    assert put_back(filled(TEMPLATE, {"key": secret}), {"key": secret}) == TEMPLATE
    for written in (secret, quote(secret), quote(secret, safe="").lower()):
        assert put_back(f"<https://h/bot{written}/x>; rel=next", {"key": secret}) == (
            "<https://h/bot{secret.key}/x>; rel=next"
        )


def test_a_short_secret_is_recognised_as_a_whole_segment_or_value_only() -> None:
    assert put_back("/items/it?i=it&at=item", {"key": "it"}) == (
        "/items/{secret.key}?i={secret.key}&at=item"
    )
    assert put_back("</a/it>; rel=next", {"key": "it"}) == "</a/{secret.key}>; rel=next"
    assert put_back("/a/b", {"key": ""}) == "/a/b"


@pytest.mark.parametrize("secret", ["", ".", ".."])
def test_a_secret_that_would_lead_elsewhere_is_refused(secret: str) -> None:
    with pytest.raises(PermanentError, match="names another place") as raised:
        filled("https://h/v1/{secret.key}/items", {"key": secret})
    assert "check the secret" in raised.value.remedy
    assert filled("https://h/v1/x{secret.key}/i", {"key": secret}) == f"https://h/v1/x{secret}/i"


def test_other_placeholders_stay_and_the_url_of_a_config_keeps_them() -> None:
    assert filled("https://h/{secret.a}/{secret.b}", {"b": "x/y"}) == "https://h/{secret.a}/x%2Fy"
    assert as_written("https://h/{secret.a}/{b} c") == "https://h/{secret.a}/%7Bb%7D%20c"
    assert names_in("https://h/{secret.a}/{secret.b}") == ["a", "b"]
