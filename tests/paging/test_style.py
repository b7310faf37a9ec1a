"""How to ask for a page, put together of what several places say."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from worker.paging.style import Address

WORDS = st.sampled_from("abc")
PARTS = ("params", "query", "headers", "body")
addresses = st.builds(
    Address,
    url=st.none() | WORDS,
    **{part: st.none() | st.dictionaries(WORDS, WORDS, min_size=1) for part in PARTS},
)


def said(address: Address) -> dict[tuple[str, str], Any]:
    """All that an address says, each by its place."""
    found: dict[tuple[str, str], Any] = {
        (part, name): value
        for part in PARTS
        for name, value in (getattr(address, part) or {}).items()
    }
    return found if address.url is None else {**found, ("url", ""): address.url}


@given(addresses, addresses)
def test_two_addresses_say_all_that_either_says_and_the_second_one_decides(
    one: Address, other: Address
) -> None:
    assert said(one.plus(other)) == {**said(one), **said(other)}


@given(addresses)
def test_an_address_that_says_nothing_changes_nothing(address: Address) -> None:
    assert address.plus(Address()) == Address().plus(address) == address
