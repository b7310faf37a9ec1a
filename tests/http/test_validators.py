"""Validators go with exactly the request that brought them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.cursor import Cursor
from worker.core.model import Claim, Decoded, Facts, Request
from worker.http.validators import Condition
from worker.paging.planner import PartitionPlanner
from worker.paging.schedule import Schedule
from worker.paging.spec import Fetch, IncrementalSpec, PagingSpec, Reply
from worker.sources.pagination import cursor, none

REQUEST = Request("GET", "https://a/b", (("since", "1"),), (("Accept", "x"),), b"{}")
MEANING = {"records": "1"}
DATES = {"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT", "Date": "Mon, 01 Jan 2024 00:00:01 GMT"}


def learned(headers: dict[str, str]) -> Any:
    return Condition.of(REQUEST, MEANING, None).validators_of(headers)


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({"ETag": '"v1"', **DATES}, ("If-None-Match", '"v1"')),
        ({"ETag": 'W/"v1"'}, ("If-None-Match", 'W/"v1"')),
        (DATES, ("If-Modified-Since", DATES["Last-Modified"])),
        ({"ETag": '"\udce9"', **DATES}, ("If-Modified-Since", DATES["Last-Modified"])),
    ],
    ids=["both", "weak", "date", "a tag that cannot be sent"],
)
def test_what_a_page_said_of_its_version_is_sent_with_the_same_request(
    headers: dict[str, str], sent: tuple[str, str]
) -> None:
    known = learned(headers)
    assert Condition.of(REQUEST, MEANING, known).headers == (sent,)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "POST"},
        {"url": "https://a/c"},
        {"params": (("since", "2"),)},
        {"headers": ()},
        {"body": None},
    ],
    ids=str,
)
def test_another_request_asks_for_everything(change: dict[str, Any]) -> None:
    assert (
        Condition.of(replace(REQUEST, **change), MEANING, learned({"ETag": '"v1"'})).headers == ()
    )


def test_another_meaning_of_the_config_asks_for_everything() -> None:
    assert Condition.of(REQUEST, {"records": "2"}, learned({"ETag": '"v1"'})).headers == ()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ETag": ""},
        {"ETag": "a\nb"},
        {**DATES, "Date": DATES["Last-Modified"]},
        {**DATES, "Date": ""},
        {**DATES, "Last-Modified": "yesterday"},
    ],
    ids=["none", "empty", "two lines", "changed within the second", "no date", "no time"],
)
def test_what_cannot_be_trusted_is_not_kept(headers: dict[str, str]) -> None:
    assert learned(headers) is None


def taken(planner: PartitionPlanner, reply: Reply) -> Any:
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch)
    [accepted] = planner.accept(todo, reply, 0.0)
    return todo, accepted


@given(pages=st.integers(1, 5), crash=st.integers(0, 5))
def test_validators_of_the_first_page_are_kept_when_the_pass_is_complete_whatever_happens_between(
    pages: int, crash: int
) -> None:
    """The cursor becomes JSON at the crash; the old validators stay until the end of the pass."""
    style = cursor.build(
        cursor.Config.model_validate(
            {"type": "cursor", "from": {"body": "next"}, "to": {"param": "c"}}
        )
    )
    spec = PagingSpec(
        style, incremental=IncrementalSpec("u", order="descending"), schedule=Schedule(0.0)
    )
    planner = PartitionPlanner(spec, Claim("p", 0, Cursor(validators="old")))
    for number in range(pages):
        if number == crash:
            planner = PartitionPlanner(
                spec, Claim("p", 0, Cursor.from_json(planner.cursor.to_json()))
            )
        facts = Facts(0, {"next": number + 1 if number + 1 < pages else None})
        todo, accepted = taken(
            planner, Reply(Decoded([], None, [], facts), validators=f"of page {number}")
        )
        assert todo.validators == ("old" if number == 0 else None)
        assert accepted.progress.cursor.validators == (
            "of page 0" if number + 1 == pages else "old"
        )
    todo, accepted = taken(planner, Reply(None, unchanged=True))
    assert todo.validators == "of page 0"
    assert (
        accepted.pass_end.reason == "not modified"
        and accepted.progress.cursor.validators == "of page 0"
    )
    assert accepted.progress.cursor.pass_no == 3 and accepted.progress.tokens_cleared


def test_a_304_needs_no_total_and_no_token() -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("nothing of a 304 is read")

    spec = PagingSpec(none.Single(), incremental=IncrementalSpec("", token=never), total=never)
    planner = PartitionPlanner(spec, Claim("p", 0, Cursor(mark="delta", validators="v")))
    _, accepted = taken(planner, Reply(None, unchanged=True))
    assert accepted.progress.cursor.mark == "delta" and accepted.pass_end.received == 0
