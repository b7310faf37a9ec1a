"""Values in URLs come back as they went in, and equal origins are equal texts."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.urls import (
    as_written,
    in_path,
    in_query,
    in_segment,
    names_in_query,
    origin_of,
    to_origin,
    with_encoded,
    with_query,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=4)


@given(TEXT)
def test_a_segment_is_one_segment_and_is_read_back(text: str) -> None:
    url = f"https://h/a/{in_segment(text)}/b"
    segments = urlsplit(url).path.split("/")
    assert [unquote(each) for each in segments] == ["", "a", text, "b"]
    assert url.isascii() and "?" not in url and "#" not in url


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_a_path_keeps_its_separators_and_encodes_each_segment(parts: list[str]) -> None:
    text = "/".join(parts)
    assert [unquote(each) for each in in_path(text).split("/")] == text.split("/")


@given(PAIRS)
def test_parameters_are_read_back_also_by_servers_that_take_plus_for_a_plus(
    params: list[tuple[str, str]],
) -> None:
    query = urlsplit(with_query("https://h/a", params)).query
    found = [tuple(map(unquote, each.split("=", 1))) for each in query.split("&") if each]
    assert found == params
    assert parse_qsl(query, keep_blank_values=True) == [each for each in params if query]


@given(PAIRS)
def test_the_query_that_is_written_stays_as_it_is(params: list[tuple[str, str]]) -> None:
    written = "https://h/a?x=%2f+1&y=a:b,c&&z"
    assert with_query(written, params).startswith(written)
    assert with_query(written, ()) == written


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("C#", "C%23"),
        ("50%", "50%25"),
        ("a&b=c", "a%26b%3Dc"),
        ("ü", "%C3%BC"),
        ("2024-05-06T07:08:09+02:00", "2024-05-06T07:08:09%2B02:00"),
        ("a;b", "a%3Bb"),
        ("status eq 'open'", "status%20eq%20'open'"),
    ],
)
def test_a_value_of_a_query_is_written_like_this(value: str, sent: str) -> None:
    assert in_query(value) == sent


@pytest.mark.parametrize(
    ("url", "params", "sent"),
    [
        ("https://h/a?", [("b", "1")], "https://h/a?b=1"),
        ("https://h/a?x=1&", [("b", "1")], "https://h/a?x=1&b=1"),
        ("https://h/a#top", [("b", "1")], "https://h/a?b=1#top"),
    ],
)
def test_parameters_stand_behind_what_is_there(
    url: str, params: list[tuple[str, str]], sent: str
) -> None:
    assert with_query(url, params) == sent


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://h/a%2Fb?c=+%20", "https://h/a%2Fb?c=+%20"),
        ("https://h/50%?a=1 2", "https://h/50%25?a=1%202"),
        ("https://h/ü/{x}?filter[a]=b", "https://h/%C3%BC/%7Bx%7D?filter[a]=b"),
    ],
)
def test_a_written_url_changes_only_where_it_is_none(written: str, sent: str) -> None:
    assert as_written(written) == sent and as_written(sent) == sent


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a",
        "https://example.com:443/b",
        "HTTPS://Example.COM",
        "https://example.com.:443?x",
        "https://user:word@example.com",
    ],
)
def test_ways_to_write_one_origin(url: str) -> None:
    assert origin_of(url) == "https://example.com"


def test_names_beyond_ascii_and_addresses_have_one_form_too() -> None:
    assert origin_of("https://MÜNCHEN.de.") == origin_of("https://xn--mnchen-3ya.de:443")
    assert origin_of("http://[0:0::1]:80/") == origin_of("http://[::1]") == "http://[::1]"


@pytest.mark.parametrize(
    "other",
    [
        "http://example.com",
        "https://example.com:8443",
        "https://example.org",
        "https://a.example.com",
    ],
)
def test_other_origins_stay_others(other: str) -> None:
    assert origin_of(other) != origin_of("https://example.com")


@pytest.mark.parametrize(
    "text", ["", "/a", "https://", "https://:443", "http://h:x", "http://[::g]"]
)
def test_what_has_no_origin_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        origin_of(text)


def test_the_rest_of_a_url_stays_when_its_origin_is_normalised() -> None:
    assert to_origin("HTTP://u:p@H:80/a%2f?b=+#c") == "http://h/a%2f?b=+#c"
    assert to_origin("http://h?b") == "http://h/?b"


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://x/y", "https://x/y?at=a%2Fb"),
        ("https://x/y?", "https://x/y?at=a%2Fb"),
        ("https://x/y?z=1&", "https://x/y?z=1&at=a%2Fb"),
        ("https://x/y?z=1#top", "https://x/y?z=1&at=a%2Fb#top"),
    ],
)
def test_a_value_that_is_encoded_already_stands_behind_what_is_there(url: str, sent: str) -> None:
    assert with_encoded(url, {"at": "a%2Fb"}) == sent
    assert with_encoded(url, {}) == url


def test_names_of_a_query() -> None:
    assert names_in_query("https://h/a?b=1&c&&b=2#d=3") == ["b", "c", "b"]
