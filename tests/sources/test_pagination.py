"""Each pagination style: where the next page is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from worker.core.errors import PermanentError
from worker.core.model import MISSING, Facts
from worker.paging.style import Address, End, Next
from worker.sources.pagination import cursor, link_header, next_url, none, offset, page
from worker.sources.pagination.common import as_count, is_end, resolve

URL = "https://api.example.com/v1/items?limit=2"


def facts(
    count: int = 2, *, body: Mapping[str, Any] | None = None, last: Mapping[str, Any] | None = None
) -> Facts:
    return Facts(count, dict(body or {}), dict(last or {}), url=URL)


def test_none_ends_at_once() -> None:
    assert isinstance(none.build(none.Config(type="none")).after(None, facts(), {}), End)


@pytest.mark.parametrize(
    ("header", "url"),
    [
        (
            (
                '<https://api.example.com/x?page=2>; rel="next", '
                '<https://api.example.com/x?page=9>; rel="last"'
            ),
            "https://api.example.com/x?page=2",
        ),
        (
            '<https://api.example.com/x?page=9>; rel="last", </repositories/1?page=2>; rel="next"',
            "https://api.example.com/repositories/1?page=2",
        ),
        ("<?page=2>; rel=next", "https://api.example.com/v1/items?page=2"),
        (
            '<https://api.example.com/a,b;c>; title="x, y"; rel="prev next"',
            "https://api.example.com/a,b;c",
        ),
        ('<https://api.example.com/x>; REL="NEXT"', "https://api.example.com/x"),
        ('</x?page=2>; rel="next";', "https://api.example.com/x?page=2"),
        ('</x?page=2>; title="a; rel=prev"; rel="next"', "https://api.example.com/x?page=2"),
        (
            r'</x?page=2>; title="say \"; rel=prev, <y>\""; rel="next"',
            "https://api.example.com/x?page=2",
        ),
        ("</x?page=2>; rel='next'", "https://api.example.com/x?page=2"),
        ("</x?page=2>; rel='prev next'; title='a, b'", "https://api.example.com/x?page=2"),
        ("</x?page=2>;rel=prev next", "https://api.example.com/x?page=2"),
        ("</x?page=2>; rel=\"next\"; title*=UTF-8''a%20b", "https://api.example.com/x?page=2"),
        ('</x?page=2>; rel="next"; rel="prev"', "https://api.example.com/x?page=2"),
        ('</x>; rel="prev"; rel="next", </y>; rel="next"', "https://api.example.com/y"),
        ('</x>; rel, , </y>; crossorigin; rel = "next" ,', "https://api.example.com/y"),
        ('< /y >; results="true"; rel="next"', "https://api.example.com/y"),
    ],
)
def test_link_header_follows_next(header: str, url: str) -> None:
    style = link_header.build(link_header.Config(type="link_header"))
    found = style.after(None, facts(), {"Link": header})
    assert isinstance(found, Next) and found.position == {"url": url} and found.token == url
    assert style.address(found.position) == Address(url=url)


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        '<https://api.example.com/x>; rel="last"',
        '</x>; title="rel=next"',
        '</x>; rel="nextpage"',
        "</x>",
    ],
)
def test_link_header_without_next_is_the_end(header: str) -> None:
    assert isinstance(
        link_header.build(link_header.Config(type="link_header")).after(
            None, facts(), {"Link": header}
        ),
        End,
    )


@pytest.mark.parametrize(
    "header",
    [
        "garbage",
        '</x?page=2; rel="next"',
        '</x>; rel="next',
        '</y>; rel="prev" </x>; rel="next"',
        '</x>; rel="next", y',
        '</x>; rel="next"; =a',
        '</y>; rel="prev" rel="next"',
        '</y>; rel=prev </x>; rel="next"',
        '</y>; title=a"b"; rel="next"',
    ],
)
def test_a_link_header_that_is_half_understood_is_an_error_and_not_the_end(header: str) -> None:
    with pytest.raises(PermanentError, match="Link header cannot be read"):
        link_header.build(link_header.Config(type="link_header")).after(
            None, facts(), {"Link": header}
        )


def test_a_link_header_is_shown_without_what_may_be_secret() -> None:
    with pytest.raises(PermanentError) as raised:
        link_header.build(link_header.Config(type="link_header")).after(
            None, facts(), {"Link": "<https://me:word@h/x?token=abc&p=2>; rel=next; ?"}
        )
    assert "'<https://h/x?***>; rel=next; ?***'" in str(raised.value)


LINK_TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20)


@given(title=LINK_TEXT, before=LINK_TEXT, page=st.integers(0, 99))
def test_whatever_a_quoted_string_holds_the_next_link_is_found(
    title: str, before: str, page: int
) -> None:
    quoted = title.replace("\\", "\\\\").replace('"', '\\"')
    target = before.replace("<", "").replace(">", "")
    first = f'</{target}>; rel=first; title="{quoted}"'
    following = f'</x?page={page}>; title="{quoted}"; rel="next"'
    style = link_header.build(link_header.Config(type="link_header"))
    found = style.after(None, facts(), {"Link": f"{first}, {following}"})
    assert isinstance(found, Next) and found.token == f"https://api.example.com/x?page={page}"


def test_next_url_is_relative_absolute_or_templated() -> None:
    assert resolve(URL, "/v2/items?x=1") == "https://api.example.com/v2/items?x=1"
    assert (
        resolve(URL, "https://api.example.com/items{?page,size}") == "https://api.example.com/items"
    )
    with pytest.raises(PermanentError, match="whole number"):
        resolve(URL, 7)


def test_next_url_reads_body_or_header() -> None:
    by_body = next_url.build(next_url.Config(type="next_url", path="links.next"))
    found = by_body.after(None, facts(body={"links.next": "/p2"}), {})
    assert isinstance(found, Next) and found.position == {"url": "https://api.example.com/p2"}
    assert isinstance(by_body.after(None, facts(body={"links.next": None}), {}), End)
    by_header = next_url.build(next_url.Config(type="next_url", header="X-Next"))
    assert isinstance(by_header.after(None, facts(), {"X-Next": "/p2"}), Next)
    assert isinstance(by_header.after(None, facts(), {}), End)


@pytest.mark.parametrize("token", [0, "abc", 12.5, [1, "x"], {"a": 1}, True])
def test_any_json_value_is_a_token(token: Any) -> None:
    style = cursor.build(
        cursor.Config.model_validate(
            {"type": "cursor", "from": {"body": "next"}, "to": {"body": "page.after"}}
        )
    )
    found = style.after(None, facts(body={"next": token}), {})
    assert isinstance(found, Next)
    assert style.address(found.position).body == {"page.after": token}


@pytest.mark.parametrize("token", [None, "", False, MISSING])
def test_end_tokens(token: Any) -> None:
    assert is_end(token)


def test_a_token_may_come_from_the_last_record() -> None:
    style = cursor.build(
        cursor.Config.model_validate(
            {"type": "cursor", "from": {"last_record": "id"}, "to": {"param": "starting_after"}}
        )
    )
    found = style.after(None, facts(last={"id": "ch_9"}), {})
    assert isinstance(found, Next)
    assert style.address(found.position).params == {"starting_after": "ch_9"}


def test_a_repeating_token_is_not_remembered() -> None:
    config = {
        "type": "cursor",
        "from": {"body": "scroll"},
        "to": {"param": "scroll"},
        "repeat": "allow",
    }
    found = cursor.build(cursor.Config.model_validate(config)).after(
        None, facts(body={"scroll": "s"}), {}
    )
    assert isinstance(found, Next) and found.token is None


def test_offsets_step_by_the_records_received() -> None:
    style = offset.build(
        offset.Config(type="offset", param="offset", start=1, limit_param="limit", limit=1000)
    )
    first = style.first()
    assert style.address(first).params == {"limit": "1000", "offset": "1"}
    assert style.after(first, facts(500), {}).position == {"offset": 501}


def test_pages_end_at_the_number_of_pages() -> None:
    config = page.Config.model_validate(
        {"type": "page", "param": "page", "total_pages": {"header": "X-Total-Pages"}}
    )
    style = page.build(config)
    assert isinstance(style.after({"page": 2}, facts(), {"X-Total-Pages": "3"}), Next)
    assert isinstance(style.after({"page": 3}, facts(), {"X-Total-Pages": "3"}), End)
    assert isinstance(
        style.after({"page": 1}, facts(), {"X-Total-Pages": "0"}), Next
    )  # there are records: the number is wrong
    assert isinstance(style.after({"page": 1}, facts(0), {"X-Total-Pages": "0"}), End)
    with pytest.raises(PermanentError, match="no count"):
        style.after({"page": 3}, facts(), {"X-Total-Pages": "many"})


@pytest.mark.parametrize(
    ("model", "config"),
    [
        (
            cursor.Config,
            {"type": "cursor", "from": {"body": "a", "header": "b"}, "to": {"param": "c"}},
        ),
        (cursor.Config, {"type": "cursor", "from": {}, "to": {"param": "c"}}),
        (next_url.Config, {"type": "next_url"}),
        (page.Config, {"type": "page"}),
        (page.Config, {"type": "page", "param": "p", "size": 3}),
        (offset.Config, {"type": "offset", "param": "o", "to": {"param": "x"}}),
        (offset.Config, {"type": "offset", "param": "o", "pagesize": 3}),
    ],
)
def test_contradictory_configs_are_refused(model: Any, config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(config)


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ('/x?filter={"even":true}&page=1', 'https://api.example.com/x?filter={"even":true}&page=1'),
        ("/x?ids={a}&set={b,c}", "https://api.example.com/x?ids={a}&set={b,c}"),
        ("/x{?q}", "https://api.example.com/x"),
        ("/x{?q,limit:3,tags*}", "https://api.example.com/x"),
        ("/x{?q}&page=1", "https://api.example.com/x?page=1"),
        ("/x{?q}{&r}&page=1", "https://api.example.com/x?page=1"),
        ("/x?a=1{&q}", "https://api.example.com/x?a=1"),
        ("/x?a=1{&q,r}&page=1", "https://api.example.com/x?a=1&page=1"),
        ("/x?a=1{?q}&page=1", "https://api.example.com/x?a=1&page=1"),
        ("/x?q=a b&n=ü&t=%C3%BC%20+", "https://api.example.com/x?q=a%20b&n=%C3%BC&t=%C3%BC%20+"),
        ("/ü/é?x=☃", "https://api.example.com/%C3%BC/%C3%A9?x=%E2%98%83"),
        ("?c=a\nb\x7f", "https://api.example.com/v1/items?c=a%0Ab%7F"),
        ("https://bücher.example/ü", "https://bücher.example/%C3%BC"),
        (" /x?page=2\n", "https://api.example.com/x?page=2"),
    ],
)
def test_a_link_is_taken_verbatim_but_for_templates_and_what_no_url_may_have(
    link: str, url: str
) -> None:
    assert resolve(URL, link) == url


def test_a_link_that_is_no_text_is_refused() -> None:
    with pytest.raises(PermanentError, match="no text"):
        resolve(URL, "/x?c=\ud800")


@given(
    st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="{}#"), max_size=40
    )
)
def test_ascii_of_a_query_is_never_changed(query: str) -> None:
    assert resolve(URL, f"/x?a=1&{query}") == f"https://api.example.com/x?a=1&{query}"


def test_a_token_that_is_no_text_is_an_error_and_not_another_token() -> None:
    """aiohttp keeps such bytes as lone surrogates, which can be neither stored nor sent back."""
    style = cursor.build(
        cursor.Config.model_validate(
            {"type": "cursor", "from": {"header": "X-Next"}, "to": {"param": "c"}}
        )
    )
    with pytest.raises(PermanentError, match="no UTF-8"):
        style.after(None, facts(), {"X-Next": "abc\udce9"})


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (5, 5),
        ("5", 5),
        (" 5 ", 5),
        (5.0, 5),
        ("5.0", 5),
        (0, 0),
        ("0", 0),
        (10**12, 10**12),
        ("items 0-24/319", 319),
        ("0-2/7", 7),
        ("bytes */9", 9),
    ],
)
def test_a_total_is_a_whole_number_or_its_text(value: Any, count: int) -> None:
    assert as_count(value, "total") == count


@pytest.mark.parametrize(
    "value", [-1, "-1", "-1.0", -2.0, None, "", MISSING, "items 0-24/*", "*/*"]
)
def test_a_total_that_is_negative_or_not_there_is_unknown(value: Any) -> None:
    assert as_count(value, "total") is None


@pytest.mark.parametrize(
    "value", [5.5, "5.5", "many", True, [], {}, float("nan"), "NaN", "1e999999999", 2**64, "*"]
)
def test_anything_else_is_no_total(value: Any) -> None:
    with pytest.raises(PermanentError, match="is no count"):
        as_count(value, "total")


ENCODED: dict[str, Any] = {"param": "c", "encoded": True}


@given(st.text(), st.booleans())
def test_an_encoded_token_is_one_value_of_the_query_or_it_is_refused(
    token: str, percent_encoded: bool
) -> None:
    sent = quote(token, safe="", errors="surrogatepass") if percent_encoded else token
    style = cursor.build(
        cursor.Config.model_validate({"type": "cursor", "from": {"header": "X-N"}, "to": ENCODED})
    )
    if is_end(sent):
        return
    try:
        found = style.after(None, facts(), {"X-N": sent})
    except PermanentError:
        assert not percent_encoded
        return
    assert isinstance(found, Next)
    address = style.address(found.position)
    assert address == Address(query={"c": sent})
    assert urlsplit(f"https://h/?c={sent}").query == f"c={sent}"
    assert not set(sent) & set('&# \\"<>')


@pytest.mark.parametrize("source", [{"body": "n"}, {"header": "X-N"}, {"last_record": "n"}])
@pytest.mark.parametrize("token", ["a b", "a&b=c", "a#b", "50%", "%zz", "é", "a\nb", '{"a":1}'])
def test_a_token_that_is_not_encoded_says_which_character_and_which_key(
    source: dict[str, str], token: str
) -> None:
    style = cursor.build(
        cursor.Config.model_validate({"type": "cursor", "from": source, "to": ENCODED})
    )
    with pytest.raises(PermanentError, match="not percent-encoded") as caught:
        style.after(None, facts(body={"n": token}, last={"n": token}), {"X-N": token})
    assert "take encoded: true of c out" in caught.value.remedy


def test_a_token_of_another_type_goes_out_as_text() -> None:
    style = cursor.build(
        cursor.Config.model_validate({"type": "cursor", "from": {"body": "n"}, "to": ENCODED})
    )
    found = style.after(None, facts(body={"n": 25}), {})
    assert isinstance(found, Next) and style.address(found.position) == Address(query={"c": "25"})
    with pytest.raises(PermanentError):
        style.after(None, facts(body={"n": {"a": 1}}), {})


@pytest.mark.parametrize(
    ("said", "total"),
    [
        ("items 0-24/319", 319),
        ("0-24/319", 319),
        ("items=0-24/319", 319),
        ("x-items: 0-24/319", 319),
        ("contacts 0-24 / 319", 319),
        ("items 0-24/*", None),
        ("*/*", None),
        ("*/0", 0),
        ("items */0", 0),
        ("items 0--1/0", 0),
        (" items 0-0/1 ", 1),
    ],
)
def test_of_a_content_range_the_part_behind_the_slash_counts_in_any_unit(
    said: str, total: int | None
) -> None:
    assert as_count(said, "pagination.total") == total


@pytest.mark.parametrize("said", ["items 0-24/", "items /5", "0-24/5/6", "items 0-24/many"])
def test_what_is_nearly_a_content_range_is_no_count(said: str) -> None:
    with pytest.raises(PermanentError, match="is no count"):
        as_count(said, "pagination.total")
