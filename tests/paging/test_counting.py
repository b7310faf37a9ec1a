"""Tokens and links that stand for a page number or an offset are seen as that."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.model import Facts
from worker.paging.counting import stands_for_a_number
from worker.paging.style import Next

BASE = "https://api.example.com/items"


def link(params: dict[str, Any]) -> dict[str, str]:
    return {"url": f"{BASE}?{urlencode(params)}" if params else BASE}


def counted(then: Any, at: Any, records: int, url: str = BASE) -> bool:
    return stands_for_a_number(Next(then, token="x"), at, Facts(records, url=url))


NAMES = st.sampled_from(["page", "offset", "skip", "start", "p"])
CONSTANT = st.dictionaries(
    st.sampled_from(["size", "tenant", "q"]), st.sampled_from([7, 50, "a", "2024-01-01"])
)


@given(
    name=NAMES,
    number=st.integers(0, 10**6),
    records=st.integers(1, 1000),
    by_page=st.booleans(),
    constant=CONSTANT,
)
def test_links_that_differ_by_one_or_by_the_records_of_the_page_stand_for_a_number(
    name: str, number: int, records: int, by_page: bool, constant: dict[str, Any]
) -> None:
    step = 1 if by_page else records
    now, then = link({**constant, name: number}), link({**constant, name: number + step})
    assert counted(then, now, records)
    # whatever else goes with it: an end, a time that no cache has seen
    both = {**constant, name: number + step, "to": number + 2 * step, "_": 1_700_000_000 + number}
    before = {**constant, name: number, "to": number + step, "_": 1_600_000_000}
    assert counted(link(both), link(before), records)


@given(name=NAMES, start=st.integers(0, 1), records=st.integers(1, 1000), constant=CONSTANT)
def test_the_first_link_stands_for_a_number_too(
    name: str, start: int, records: int, constant: dict[str, Any]
) -> None:
    """The first request need not name its page."""
    url = link(constant)["url"]
    assert counted(link({**constant, name: start + 1}), None, records, url)
    assert counted(link({**constant, name: start + records}), None, records, url)


@given(
    constant=CONSTANT,
    now=st.integers(10**6, 10**7),
    gap=st.integers(2, 10**6),
    records=st.integers(1, 1000),
)
def test_links_that_name_a_record_do_not(
    constant: dict[str, Any], now: int, gap: int, records: int
) -> None:
    if gap == records:
        return
    assert not counted(
        link({**constant, "after": now + gap}), link({**constant, "after": now}), records
    )
    assert not counted(
        link({**constant, "after": "eyJpZCI6Nx"}), link({**constant, "after": "eyJpZCI6N"}), records
    )


@pytest.mark.parametrize("number", [0, 1, 41, "41"])
@pytest.mark.parametrize("step", [1, 20])
def test_a_token_that_is_a_number_stands_for_itself(number: Any, step: int) -> None:
    then = type(number)(int(number) + step)
    assert counted({"token": then}, {"token": number}, 20)
    assert not counted({"token": type(number)(int(number) + step + 1)}, {"token": number}, 20)


@pytest.mark.parametrize("number", [True, None, 1.5, "x", "1x", "²", "", {"page": 2}, [2], "-1"])
def test_other_tokens_do_not(number: Any) -> None:
    assert not counted({"token": number}, {"token": 1}, 20)


def test_a_token_that_stays_or_goes_back_does_not() -> None:
    assert not counted({"token": 7}, {"token": 7}, 20)
    assert not counted({"token": 6}, {"token": 7}, 20)
    assert not counted(link({}), link({"page": 2}), 20)


def test_a_number_longer_than_any_page_is_a_name() -> None:
    assert counted({"token": "9" * 18 + "1"}, {"token": "9" * 18 + "0"}, 20)
    assert not counted({"token": "9" * 19 + "1"}, {"token": "9" * 19 + "0"}, 20)
