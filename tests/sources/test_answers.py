"""What an answer means: the order of the rules, the table of statuses, replies and errors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import (
    AuthError,
    CursorInvalid,
    NotReady,
    PermanentError,
    RateLimited,
    TransientError,
    WorkerError,
)
from worker.core.model import MISSING
from worker.sources.answers import Evidence, Rules, error_of, judge, reply_of
from worker.sources.http_config import HttpConfig

ACTIONS = ("page", "retry", "rate_limited", "fail", "empty", "stop", "skip", "refresh_auth")
OTHER_BODY = {"path": "code", "equals": "other"}
LAST_BODY = {"path": "code", "equals": "past_the_end"}


def rules(**source: Any) -> Rules:
    return Rules.of(HttpConfig.model_validate({"url": "https://api.example.com/v1", **source}))


def answer(
    status: int,
    body: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    *,
    first: bool = False,
    conditional: bool = False,
) -> Evidence:
    known = body or {}
    return Evidence(
        status,
        headers or {},
        read=lambda path: known.get(path, MISSING),
        first=first,
        conditional=conditional,
    )


@pytest.mark.parametrize(
    ("status", "first", "later"),
    [
        (200, "page", "page"),
        (202, "not_ready", "not_ready"),
        (206, "page", "page"),
        (204, "empty", "empty"),
        (205, "empty", "empty"),
        (301, "fail", "fail"),
        (304, "not_modified", "not_modified"),
        (400, "fail", "cursor_invalid"),
        (401, "refresh_auth", "refresh_auth"),
        (403, "denied", "denied"),
        (404, "fail", "fail"),
        (408, "retry", "retry"),
        (410, "fail", "cursor_invalid"),
        (425, "retry", "retry"),
        (429, "rate_limited", "rate_limited"),
        (500, "retry", "retry"),
        (501, "fail", "fail"),
        (503, "retry", "retry"),
        (505, "fail", "fail"),
        (599, "retry", "retry"),
    ],
)
def test_a_status_means_this_for_the_first_page_and_for_a_later_one(
    status: int, first: str, later: str
) -> None:
    table = rules().by_status
    assert judge(answer(status, first=True), table) == first
    assert judge(answer(status), table) == later


@pytest.mark.parametrize("headers", [{"Retry-After": "3"}, {"X-RateLimit-Remaining": "0"}])
def test_a_403_that_names_a_limit_is_no_refusal_of_the_credentials(headers: dict[str, str]) -> None:
    assert judge(answer(403, headers=headers), rules().by_status) == "rate_limited"


@given(st.integers(0, 999), st.booleans(), st.booleans())
def test_every_answer_has_a_meaning(status: int, first: bool, conditional: bool) -> None:
    assert judge(answer(status, first=first, conditional=conditional), rules().by_status)


@given(st.integers(100, 599), st.sampled_from(ACTIONS))
def test_on_status_goes_before_the_table(status: int, action: Any) -> None:
    configured = rules(on_status={status: action}).by_status
    assert judge(answer(status), configured) == action


@pytest.mark.parametrize("rule", ["on_status", "on_body"])
def test_stop_is_a_failure_on_the_first_page_of_a_pass(rule: str) -> None:
    if rule == "on_status":
        configured = rules(on_status={404: "stop"}).by_status
    else:
        configured = rules(on_body=[{"when": LAST_BODY, "do": "stop"}]).by_body
    body = {"code": "past_the_end"}
    assert judge(answer(404, body, first=True), configured) == "fail"
    assert judge(answer(404, body), configured) == "stop"


def test_stop_status_goes_before_on_status_and_needs_its_body() -> None:
    configured = rules(
        on_status={400: "retry"}, stop={"status": [{"code": 400, "when": LAST_BODY}]}
    ).by_status
    assert judge(answer(400, {"code": "past_the_end"}), configured) == "past_the_end"
    assert judge(answer(400, {"code": "past_the_end"}, first=True), configured) == "retry"
    assert judge(answer(400, {"code": "broken"}), configured) == "retry"


def test_each_stop_status_has_its_own_condition() -> None:
    statuses = [{"code": 400, "when": LAST_BODY}, {"code": 400, "when": OTHER_BODY}, {"code": 404}]
    configured = rules(stop={"status": statuses}).by_status
    found = [judge(answer(400, {"code": code}), configured) for code in ("past_the_end", "other")]
    assert found == ["past_the_end", "past_the_end"]
    assert judge(answer(400, {"code": "third"}), configured) == "cursor_invalid"
    assert judge(answer(404), configured) == "past_the_end"


def test_a_status_that_brings_a_page_does_not_end_the_pass() -> None:
    configured = rules(stop={"status": [{"code": 200}, {"code": 204}]}).by_status
    assert judge(answer(200), configured) == "page"
    assert judge(answer(204), configured) == "past_the_end"


def test_split_on_goes_before_stop_status_and_the_table() -> None:
    window = {"type": "window", "start_param": "a", "end_param": "b", "size": "1d"}
    configured = rules(
        pagination={**window, "split_on": {"status": 400, "when": OTHER_BODY}},
        incremental={"field": "at", "initial": "2024-01-01T00:00:00Z"},
    ).by_status
    assert judge(answer(400, {"code": "other"}, first=True), configured) == "split"
    assert judge(answer(400, {"code": "x"}), configured) == "cursor_invalid"


def test_a_304_is_unchanged_only_where_changes_were_asked_for() -> None:
    configured = rules(on_status={304: "empty"}).by_status
    assert judge(answer(304, conditional=True), configured) == "unchanged"
    assert judge(answer(304), configured) == "empty"


def test_the_first_rule_of_on_body_that_holds_decides() -> None:
    configured = rules(
        on_body=[
            {"when": {"path": "ok", "equals": False}, "do": "retry"},
            {"when": {"path": "code", "exists": True}, "do": "empty"},
        ]
    ).by_body
    assert judge(answer(200, {"ok": False, "code": 1}), configured) == "retry"
    assert judge(answer(200, {"ok": True, "code": 1}), configured) == "empty"
    assert judge(answer(200, {"ok": True}), configured) == "page"


def test_meanings_without_an_error_are_replies() -> None:
    of = answer(404, headers={"Link": "x"})
    told = {
        meaning: reply_of(meaning, of, "status 404: 'x'")
        for meaning in ("unchanged", "split", "empty", "past_the_end", "stop", "skip")
    }
    assert all(reply and reply.decoded is None for reply in told.values())
    assert all(reply and reply.headers == {"Link": "x"} for reply in told.values())
    assert {
        meaning: (reply.stop, reply.split, reply.unchanged)
        for meaning, reply in told.items()
        if reply
    } == {
        "unchanged": ("", "", True),
        "split": ("", "status 404: 'x'", False),
        "empty": ("", "", False),
        "past_the_end": ("status 404", "", False),
        "stop": ("status 404 (stop)", "", False),
        "skip": ("status 404 (skip)", "", False),
    }


@pytest.mark.parametrize(
    ("meaning", "kind"),
    [
        ("rate_limited", RateLimited),
        ("retry", TransientError),
        ("not_ready", NotReady),
        ("partial", PermanentError),
        ("refresh_auth", AuthError),
        ("denied", AuthError),
        ("cursor_invalid", CursorInvalid),
        ("not_modified", PermanentError),
        ("fail", PermanentError),
    ],
)
def test_meanings_that_are_errors_say_what_came_and_what_to_do(
    meaning: Any, kind: type[WorkerError]
) -> None:
    assert reply_of(meaning, answer(418), "status 418: 'x'") is None
    error = error_of(meaning, "status 418: 'x'", where="p: GET https://h", wait_s=3.0)
    assert type(error) is kind and str(error).startswith("p: GET https://h: ")
    assert "status 418: 'x'" in error.message
    if isinstance(error, TransientError):
        assert error.code == "not_ready" or not error.remedy
        assert error.retry_after_s == 3.0
    else:
        assert error.remedy


@pytest.mark.parametrize(
    ("headers", "meaning"),
    [
        ({"Content-Range": "bytes 0-99/200"}, "partial"),
        ({"Content-Range": "Bytes 0-99/*"}, "partial"),
        ({"Content-Type": "multipart/byteranges; boundary=x"}, "partial"),
        ({"Content-Range": "items 0-24/319"}, "page"),
        ({}, "page"),
    ],
)
def test_a_206_is_a_page_unless_its_range_is_in_bytes(
    headers: dict[str, str], meaning: str
) -> None:
    assert judge(answer(206, headers=headers), rules().by_status) == meaning
    configured = rules(on_status={206: "page"}).by_status
    assert judge(answer(206, headers=headers), configured) == "page"


def test_a_202_with_data_is_a_page_where_the_config_says_so() -> None:
    assert judge(answer(202), rules(on_status={202: "page"}).by_status) == "page"
    by_body = rules(on_body=[{"when": {"path": "items", "exists": True}, "do": "page"}])
    assert judge(answer(202, {"items": []}), by_body.by_status) == "page"
    assert judge(answer(202, {"state": "running"}), by_body.by_status) == "not_ready"


def test_on_body_says_of_a_202_what_it_says_of_any_page() -> None:
    configured = rules(on_body=[{"when": {"path": "ok", "equals": False}, "do": "fail"}])
    assert judge(answer(202, {"ok": False}), configured.by_status) == "fail"


def test_a_page_of_on_body_shields_from_the_rules_behind_it() -> None:
    configured = rules(
        on_body=[
            {"when": {"path": "items", "exists": True}, "do": "page"},
            {"when": {"path": "errors", "exists": True}, "do": "fail"},
        ]
    ).by_body
    assert judge(answer(200, {"items": [], "errors": ["a warning"]}), configured) == "page"
    assert judge(answer(200, {"errors": ["x"]}), configured) == "fail"
