"""What an answer means: the order of the rules, the table of statuses, replies and errors."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

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
from worker.http.headers import REDIRECTS
from worker.sources.answers import (
    Evidence,
    Rule,
    error_of,
    is_decided,
    judge,
    may_mean,
    redirect_rules_of,
    redirects_named_in,
    reply_of,
    rules_of,
)
from worker.sources.http_config import HttpConfig
from worker.sources.rules import Action

ACTIONS = get_args(Action)
OTHER_BODY = {"path": "code", "equals": "other"}
LAST_BODY = {"path": "code", "equals": "past_the_end"}


PAGED = {"type": "page", "param": "page", "size_param": "size", "size": 100}


def config(**source: Any) -> HttpConfig:
    return HttpConfig.model_validate({"url": "https://api.example.com/v1", **source})


def rules(**source: Any) -> tuple[Rule, ...]:
    return rules_of(config(**{"pagination": PAGED, **source}))


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
    table = rules()
    assert judge(answer(status, first=True), table) == first
    assert judge(answer(status), table) == later


@pytest.mark.parametrize("headers", [{"Retry-After": "3"}, {"X-RateLimit-Remaining": "0"}])
def test_a_403_that_names_a_limit_is_no_refusal_of_the_credentials(headers: dict[str, str]) -> None:
    assert judge(answer(403, headers=headers), rules()) == "rate_limited"


@given(st.integers(0, 999), st.booleans(), st.booleans())
def test_every_answer_has_a_meaning(status: int, first: bool, conditional: bool) -> None:
    assert judge(answer(status, first=first, conditional=conditional), rules())


@given(st.integers(100, 599), st.sampled_from(ACTIONS))
def test_on_status_goes_before_the_table(status: int, action: Any) -> None:
    configured = rules(on_status={status: action})
    assert judge(answer(status), configured) == action


@pytest.mark.parametrize("rule", ["on_status", "on_body"])
def test_stop_is_a_failure_on_the_first_page_of_a_pass(rule: str) -> None:
    if rule == "on_status":
        configured = rules(on_status={404: "stop"})
    else:
        configured = rules(on_body=[{"when": LAST_BODY, "do": "stop"}])
    body = {"code": "past_the_end"}
    status = 404 if rule == "on_status" else 200
    assert judge(answer(status, body, first=True), configured) == "fail"
    assert judge(answer(status, body), configured) == "stop"


def test_stop_status_goes_before_on_status_and_needs_its_body() -> None:
    configured = rules(
        on_status={400: "retry"}, stop={"status": [{"code": 400, "when": LAST_BODY}]}
    )
    assert judge(answer(400, {"code": "past_the_end"}), configured) == "past_the_end"
    assert judge(answer(400, {"code": "past_the_end"}, first=True), configured) == "retry"
    assert judge(answer(400, {"code": "broken"}), configured) == "retry"


def test_each_stop_status_has_its_own_condition() -> None:
    statuses = [{"code": 400, "when": LAST_BODY}, {"code": 400, "when": OTHER_BODY}, {"code": 404}]
    configured = rules(stop={"status": statuses})
    found = [judge(answer(400, {"code": code}), configured) for code in ("past_the_end", "other")]
    assert found == ["past_the_end", "past_the_end"]
    assert judge(answer(400, {"code": "third"}), configured) == "cursor_invalid"
    assert judge(answer(404), configured) == "past_the_end"


def test_a_status_that_brings_a_page_does_not_end_the_pass() -> None:
    configured = rules(stop={"status": [{"code": 200}, {"code": 204}]})
    assert judge(answer(200), configured) == "page"
    assert judge(answer(204), configured) == "past_the_end"


def test_split_on_goes_before_stop_status_and_the_table() -> None:
    window = {"type": "window", "start_param": "a", "end_param": "b", "size": "1d"}
    configured = rules(
        pagination={**window, "split_on": {"status": 400, "when": OTHER_BODY}},
        incremental={"field": "at", "initial": "2024-01-01T00:00:00Z"},
    )
    assert judge(answer(400, {"code": "other"}, first=True), configured) == "split"
    assert judge(answer(400, {"code": "x"}), configured) == "cursor_invalid"


def test_a_304_is_unchanged_only_where_changes_were_asked_for() -> None:
    configured = rules(on_status={304: "empty"})
    assert judge(answer(304, conditional=True), configured) == "unchanged"
    assert judge(answer(304), configured) == "empty"


def test_the_first_rule_of_on_body_that_holds_decides() -> None:
    configured = rules(
        on_body=[
            {"when": {"path": "ok", "equals": False}, "do": "retry"},
            {"when": {"path": "code", "exists": True}, "do": "empty"},
        ]
    )
    assert judge(answer(200, {"ok": False, "code": 1}), configured) == "retry"
    assert judge(answer(200, {"ok": True, "code": 1}), configured) == "empty"
    assert judge(answer(200, {"ok": True}), configured) == "page"


def test_meanings_without_an_error_are_replies() -> None:
    of = answer(404, headers={"Link": "x"})
    told = {
        meaning: reply_of(meaning, of, "status 404: 'x'") for meaning in MEANINGS_THAT_ARE_REPLIES
    }
    assert all(reply and reply.decoded is None for reply in told.values())
    assert all(reply and reply.headers == {"Link": "x"} for reply in told.values())
    assert {
        meaning: (reply.stop, reply.split, reply.unchanged, reply.skipped, reply.too_large)
        for meaning, reply in told.items()
        if reply
    } == {
        "unchanged": ("", "", True, "", ""),
        "split": ("", "status 404: 'x'", False, "", ""),
        "empty": ("", "", False, "", ""),
        "past_the_end": ("status 404", "", False, "", ""),
        "stop": ("status 404 (stop)", "", False, "", ""),
        "skip": ("", "", False, "status 404: 'x'", ""),
        "smaller_page": ("", "", False, "", "status 404: 'x'"),
    }


MEANINGS_THAT_ARE_REPLIES: tuple[Any, ...] = (
    *("unchanged", "split", "empty", "past_the_end", "stop"),
    *("skip", "smaller_page"),
)


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
    assert judge(answer(206, headers=headers), rules()) == meaning
    configured = rules(on_status={206: "page"})
    assert judge(answer(206, headers=headers), configured) == "page"


def test_a_202_with_data_is_a_page_where_the_config_says_so() -> None:
    assert judge(answer(202), rules(on_status={202: "page"})) == "page"
    by_body = rules(on_body=[{"when": {"path": "items", "exists": True}, "do": "page"}])
    assert judge(answer(202, {"items": []}), by_body) == "page"
    assert judge(answer(202, {"state": "running"}), by_body) == "not_ready"


def test_on_body_says_of_a_202_what_it_says_of_any_page() -> None:
    configured = rules(on_body=[{"when": {"path": "ok", "equals": False}, "do": "fail"}])
    assert judge(answer(202, {"ok": False}), configured) == "fail"


def test_a_page_of_on_body_shields_from_the_rules_behind_it() -> None:
    configured = rules(
        on_body=[
            {"when": {"path": "items", "exists": True}, "do": "page"},
            {"when": {"path": "errors", "exists": True}, "do": "fail"},
        ]
    )
    assert judge(answer(200, {"items": [], "errors": ["a warning"]}), configured) == "page"
    assert judge(answer(200, {"errors": ["x"]}), configured) == "fail"


ERROR = {"path": "error", "exists": True}


def test_the_first_rule_of_responses_that_holds_decides_before_the_short_forms() -> None:
    configured = rules(
        responses=[
            {"status": 403, "when": {"path": "reason", "equals": "quota"}, "do": "rate_limited"},
            {"status": [409, "5xx"], "do": "retry"},
            {"when": {"path": "code", "equals": 7}, "do": "empty"},
            {"status": "4XX", "when": ERROR, "do": "fail"},
        ],
        on_status={403: "empty", 404: "empty", 501: "fail"},
        on_body=[{"when": ERROR, "do": "retry"}],
    )
    assert judge(answer(403, {"reason": "quota"}), configured) == "rate_limited"
    assert judge(answer(403, {"reason": "rights"}), configured) == "empty"
    assert judge(answer(403, {"reason": "rights", "error": 1}), configured) == "fail"
    assert judge(answer(409, {"code": 7}), configured) == "retry"
    assert judge(answer(501, {"code": 7}), configured) == "retry"
    assert judge(answer(404, {"code": 7, "error": 1}), configured) == "empty"
    assert judge(answer(200, {"code": 7}), configured) == "empty"
    assert judge(answer(200, {"error": 1}), configured) == "retry"
    assert judge(answer(200, {}), configured) == "page"


@given(
    st.lists(st.sampled_from([200, 202, 206, 400, 404, 429, 500]), min_size=1, unique=True),
    st.lists(st.sampled_from(ACTIONS), min_size=7, max_size=7),
    st.lists(st.sampled_from(ACTIONS), max_size=2),
)
def test_the_short_forms_mean_what_their_general_form_means(
    statuses: list[int], actions: list[Any], by_body: list[Any]
) -> None:
    short = config(
        pagination=PAGED,
        on_status=dict(zip(statuses, actions, strict=False)),
        on_body=[
            {"when": {"path": f"e{n}", "exists": True}, "do": do} for n, do in enumerate(by_body)
        ],
    )
    general = [rule.model_dump(exclude_none=True, exclude_unset=True) for rule in short.responses]
    long = rules(responses=general)
    for status in (*statuses, 201, 204, 410, 503):
        for body in ({}, {"e0": 1}, {"e1": 1}):
            found = answer(status, body)
            assert judge(found, rules_of(short)) == judge(found, long)


def test_a_status_that_is_said_to_be_a_page_is_still_asked_what_its_body_says() -> None:
    configured = rules(on_status={404: "page"}, on_body=[{"when": ERROR, "do": "retry"}])
    assert judge(answer(404, {"error": 1}), configured) == "retry"
    assert judge(answer(404, {}), configured) == "page"
    assert judge(answer(500, {"error": 1}), configured) == "retry"  # by the table
    assert judge(answer(410, {"error": 1}), configured) == "cursor_invalid"


@pytest.mark.parametrize("status", [204, 205])
def test_an_answer_without_a_body_is_not_asked_what_its_body_says(status: int) -> None:
    absent = [{"when": {"path": "ok", "not_equals": True}, "do": "retry"}]
    assert judge(answer(status), rules(on_body=absent)) == "empty"


@given(st.integers(100, 599), st.sampled_from(ACTIONS))
def test_what_an_answer_may_mean_is_known_without_its_body(status: int, action: Any) -> None:
    when = {"path": "code", "equals": 1}
    configured = rules(responses=[{"status": status, "when": when, "do": action}])
    found = may_mean(answer(status), configured)
    assert found[-1] == judge(answer(status, {"code": 2}), configured)
    assert judge(answer(status, {"code": 1}), configured) == found[0] == action
    assert len(found) == (3 if action == "stop" else 2)
    assert may_mean(answer(599 if status != 599 else 598), configured) == ["retry"]


def test_stop_of_responses_is_a_failure_on_the_first_page() -> None:
    configured = rules(responses=[{"status": 404, "when": LAST_BODY, "do": "stop"}])
    body = {"code": "past_the_end"}
    assert judge(answer(404, body, first=True), configured) == "fail"
    assert judge(answer(404, body), configured) == "stop"


def test_only_rules_that_may_be_asked_of_a_page_are_facts_of_pages() -> None:
    def paths(**source: Any) -> set[str]:
        return set(config(pagination=PAGED, **source).body_paths)

    when = {"path": "a", "exists": True}
    assert paths(responses=[{"status": [403, "5xx"], "when": when, "do": "retry"}]) == set()
    assert paths(responses=[{"status": "2xx", "when": when, "do": "retry"}]) == {"a"}
    assert paths(responses=[{"when": when, "do": "retry"}]) == {"a"}
    assert paths(responses=[{"status": 404, "when": when, "do": "page"}]) == {"a"}
    assert paths(on_body=[{"when": when, "do": "retry"}]) == {"a"}


@given(st.integers(0, 999))
def test_a_rule_without_a_status_is_asked_of_every_answer(status: int) -> None:
    configured = rules(responses=[{"when": ERROR, "do": "empty"}])
    assert judge(answer(status, {"error": 1}), configured) == "empty"


@pytest.mark.parametrize("status", [99, 600, 200.5, True, "6xx", "50x", "", None, [], ["5xx", 7]])
def test_a_status_is_a_number_a_class_or_a_list(status: Any) -> None:
    with pytest.raises(ValidationError):
        config(responses=[{"status": status, "do": "retry"}])


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ({}, set()),
        ({"responses": [{"status": 302, "do": "refresh_auth"}]}, {302}),
        ({"on_status": {303: "empty"}}, {303}),
        ({"stop": {"status": [{"code": 307}]}}, {307}),
        ({"responses": [{"when": {"path": "code", "exists": False}, "do": "retry"}]}, set()),
        ({"responses": [{"status": "3xx", "do": "fail"}]}, set(REDIRECTS)),
    ],
)
def test_a_redirect_is_held_against_the_rules_that_name_its_status(
    source: dict[str, Any], named: set[int]
) -> None:
    found = redirect_rules_of(config(pagination=PAGED, **source))
    assert redirects_named_in(found) == named
    for status in REDIRECTS:
        assert is_decided(answer(status), found) == (status in named)


def test_a_redirect_whose_body_no_rule_is_about_is_followed() -> None:
    found = redirect_rules_of(config(responses=[{"status": 302, "when": OTHER_BODY, "do": "fail"}]))
    assert is_decided(answer(302, {"code": "other"}), found)
    assert not is_decided(answer(302, {"code": "last"}), found)


def test_no_redirect_ends_a_pass_at_its_first_page() -> None:
    found = redirect_rules_of(config(pagination=PAGED, stop={"status": [{"code": 302}]}))
    assert is_decided(answer(302), found) and not is_decided(answer(302, first=True), found)
