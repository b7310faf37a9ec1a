"""What a look at a source shows of its config, and what it does not: each alarm has a healthy twin."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from worker.core.errors import CursorStuck, KeyMissing
from worker.core.model import Decoded, Doubt, Facts, FieldError, Reject
from worker.sources.http_config import HttpConfig
from worker.wiring.findings import Finding, PageSeen, Seen, explain, findings

ITEMS = [{"id": 1, "at": "x"}, {"id": 2, "at": "y"}]


def config(**source: Any) -> HttpConfig:
    return HttpConfig.model_validate({"url": "https://h/a", "records": "items", **source})


def page(document: Any, records: Any = None, **headers: str) -> PageSeen:
    records = document["items"] if records is None else records
    raws = [json.dumps(each).encode() for each in records]
    decoded = Decoded([], None, [], Facts(len(raws)), raws.__getitem__)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return PageSeen.of(json.dumps(document).encode(), named, decoded)


def found(
    source: HttpConfig, *pages: PageSeen, rejects: list[Reject] | None = None
) -> list[Finding]:
    return findings(source, Seen(list(pages), rejects or []))


def reject(
    number: int, code: str = "invalid", what: str = "text", allowed: str = "a number"
) -> Reject:
    return Reject(number, "decode", code, (FieldError("$.at", what, allowed),), b"{}")


CURSOR = {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "c"}}
LAST = {"type": "cursor", "from": {"last_record": "uid"}, "to": {"param": "c"}}
HEADER = {"type": "cursor", "from": {"header": "X-Next"}, "to": {"param": "c"}}
HAL = {"type": "next_url", "path": '"_links".next.href'}
LINKS = {"type": "link_header"}

ALARMS: dict[str, tuple[dict[str, Any], PageSeen, str]] = {
    "another name": (
        {"pagination": CURSOR},
        page({"items": ITEMS, "meta": {"next_cursor": "t"}}),
        "it has meta.next_cursor",
    ),
    "another place": (
        {"pagination": CURSOR},
        page({"items": ITEMS, "paging": {"cursors": {"after": "t"}}}),
        "paging.cursors.after",
    ),
    "another case": (
        {"pagination": {**CURSOR, "from": {"body": "Next_Page"}}},
        page({"items": ITEMS, "nextPage": "t"}),
        "did you mean nextPage?",
    ),
    "a link in an object": (
        {"pagination": {"type": "next_url", "path": "links.next"}},
        page({"items": ITEMS, "_links": {"next": {"href": "/b"}}}),
        "it has _links.next.href",
    ),
    "more pages": (
        {"pagination": HAL},
        page({"items": ITEMS, "has_more": True}),
        "it says that there are more",
    ),
    "a full page": (
        {"pagination": CURSOR, "params": {"limit": 2}},
        page({"items": ITEMS}),
        "as many records as limit asks for",
    ),
    "another header": (
        {"pagination": HEADER},
        page({"items": ITEMS}, X_Next_Page="5"),
        "the header X-Next-Page",
    ),
    "no link": (
        {"pagination": LINKS, "params": {"per_page": 2}},
        page({"items": ITEMS}),
        "the header Link",
    ),
    "a field of records": (
        {"pagination": {**LAST, "from": {"last_record": "Id"}}},
        page({"items": ITEMS}),
        "did you mean id?",
    ),
    "a projection": (
        {"pagination": {**CURSOR, "from": {"body": "items[-1].uid"}}},
        page({"items": ITEMS, "next": "t"}),
        "it has next",
    ),
}


@pytest.mark.parametrize("name", ALARMS)
def test_a_token_that_is_elsewhere_is_an_alarm(name: str) -> None:
    source, seen, words = ALARMS[name]
    [finding] = found(config(**source), seen)
    assert finding.code == "token_missing" and finding.alarm
    assert words in str(finding) and "correct source.pagination: there are " in finding.remedy


@pytest.mark.parametrize(
    ("pagination", "document"),
    [
        (HAL, {"items": ITEMS, "_links": {"self": {"href": "/a"}, "prev": {"href": "/b"}}}),
        (CURSOR, {"items": ITEMS, "meta": {"count": 2}}),
        (CURSOR, {"items": ITEMS}),
        (HAL, {"items": ITEMS, "has_more": False, "next_cursor": "t"}),
        (CURSOR, {"items": ITEMS, "meta": {"prev_cursor": "t"}}),
        (HAL, {"items": ITEMS, "offset": 0, "limit": 20, "next_update": "2024-01-01"}),
        (LINKS, {"items": ITEMS}),
        (HEADER, {"items": ITEMS}),
    ],
)
def test_a_last_page_without_a_token_is_at_most_a_warning(
    pagination: dict[str, Any], document: dict[str, Any]
) -> None:
    assert [each.alarm for each in found(config(pagination=pagination), page(document))] == [False]


@pytest.mark.parametrize(
    ("pagination", "document", "headers"),
    [
        (CURSOR, {"items": ITEMS, "meta": {"next": "t"}}, {}),
        (CURSOR, {"items": ITEMS, "meta": {"next": None}}, {}),
        (CURSOR, {"items": [], "other": {"cursor": "t"}}, {}),
        (LINKS, {"items": ITEMS, "next": "x"}, {"link": "<x>; rel=prev"}),
        ({"type": "page", "param": "p"}, {"items": ITEMS, "next": "t"}, {}),
        ({"type": "none"}, {"items": ITEMS, "next": "t"}, {}),
    ],
)
def test_a_token_that_is_there_is_nothing_to_say_of(
    pagination: dict[str, Any], document: dict[str, Any], headers: dict[str, str]
) -> None:
    assert found(config(pagination=pagination), page(document, **headers)) == []


def test_a_token_of_an_earlier_page_is_a_token() -> None:
    pages = (page({"items": ITEMS, "meta": {"next": "t"}}), page({"items": ITEMS, "next": "x"}))
    assert found(config(pagination=CURSOR), *pages) == []


def test_a_key_that_no_record_has_is_an_alarm_that_names_what_they_have() -> None:
    [finding] = found(config(key=["Id"]), page({"items": ITEMS}))
    assert finding.code == "key_missing" and finding.alarm
    assert "did you mean id?" in finding.remedy and "records have id, at" in finding.remedy


def test_a_part_of_a_key_that_no_record_has_is_a_warning() -> None:
    assert [each.alarm for each in found(config(key=["id", "v"]), page({"items": ITEMS}))] == [
        False
    ]


@pytest.mark.parametrize("records", [[{"id": None}, {"id": 0}], [{"x": 1}, {"id": 1}]])
def test_a_key_that_one_record_has_is_fine(records: list[Any]) -> None:
    assert found(config(key=["id"]), page({"items": records})) == []


def test_rejects_only_are_an_alarm_with_the_first_reason() -> None:
    [finding] = found(config(), page({"items": ITEMS}), rejects=[reject(0), reject(1)])
    assert finding.code == "all_rejected" and "found text, allowed a number" in finding.found
    assert found(config(), page({"items": ITEMS}), rejects=[reject(0)]) == []


def test_times_that_are_none_are_made_some_by_timestamp() -> None:
    allowed = "RFC 3339 text with a zone, or a whole number"
    rejects = [reject(number, allowed=allowed) for number in (0, 1)]
    [finding] = found(config(), page({"items": ITEMS}), rejects=rejects)
    assert "timestamp(" in finding.remedy


def test_times_that_another_unit_would_make_times_of_today_are_a_warning_with_the_key() -> None:
    seen = page({"items": ITEMS})
    doubt = Doubt("1970-01-20T20:22:59Z", "epoch_ms", "2024-05-06T07:08:09Z", "epoch_s")
    [finding] = found(config(), replace(seen, doubts={"at": doubt}), seen)
    assert (finding.code, finding.alarm) == ("time_doubtful", False)
    assert "1970-01-20" in finding.found and "2024-05-06" in finding.found
    assert "{at: epoch_s}" in finding.remedy and "{at: epoch_ms}" in finding.remedy


@pytest.mark.parametrize(
    ("what", "words"), [("absent", "no record has updated"), ("str", "of the format epoch_s")]
)
def test_an_incremental_value_that_nobody_can_read_is_an_alarm(what: str, words: str) -> None:
    source = config(incremental={"field": "updated", "param": "s", "format": {"record": "epoch_s"}})
    rejects = [reject(number, "incremental_value", what) for number in (0, 1)]
    [finding] = found(source, page({"items": ITEMS}), rejects=rejects)
    assert finding.code == "incremental_value" and finding.alarm and words in finding.found
    assert ("records have id, at" if what == "absent" else "format.record") in finding.remedy


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("2024-05-06T07:08:09Z", "it looks like rfc3339; "),
        (1_714_979_289, "it looks like epoch_s; "),
        (1_714_979_289_000, "it looks like epoch_ms; "),
        (1_714_979_289_000_000, "it looks like epoch_us; "),
        ("yesterday", "set source.incremental"),
        (True, "set source.incremental"),
    ],
)
def test_the_likely_format_of_an_incremental_value_is_named(value: Any, form: str) -> None:
    source = config(incremental={"field": "at", "param": "s", "format": {"record": "%Y"}})
    rejects = [reject(0, "incremental_value")]
    [finding] = found(source, page({"items": [{"at": value}]}), rejects=rejects)
    assert finding.remedy.startswith(form)


def test_an_error_of_the_same_code_gets_the_names_that_are_there() -> None:
    error, other = KeyMissing("none"), CursorStuck("stuck", remedy="other")
    for each in (error, other):
        explain(each, found(config(key=["Id"]), page({"items": ITEMS})))
    assert "records have id, at" in error.remedy and other.remedy == "other"


def test_nothing_is_said_of_bodies_that_are_no_json_or_have_no_records() -> None:
    decoded = Decoded([], None, [], Facts(1), lambda index: b"\xff")
    other = PageSeen.of(b"Obj\x01", {}, decoded)
    assert found(config(key=["id"], pagination=CURSOR), other) == []
    assert found(config(key=["id"]), page({"items": []})) == []


@pytest.mark.parametrize(
    ("allowed", "words"),
    [
        ("an ISO 8601 date, or whole days since 1970; decode.times names others", "decode.times"),
        ("boolean; decode.coerce: [booleans] reads flags", "key of decode"),
        ("a whole number", "source.records"),
    ],
)
def test_the_remedy_is_the_key_that_the_error_names(allowed: str, words: str) -> None:
    rejects = [reject(number, allowed=allowed) for number in (0, 1)]
    [finding] = found(config(), page({"items": ITEMS}), rejects=rejects)
    assert words in finding.remedy


COSTLY = {"rate_limit": [{"requests": 5}, {"cost": 9, "from": {"body": "cost.actual"}}]}


def test_costs_that_no_answer_says_are_a_warning() -> None:
    silent, said = page({"items": ITEMS}), page({"items": ITEMS, "cost": {"actual": 2}})
    [finding] = found(config(**COSTLY), silent)
    assert (finding.code, finding.alarm) == ("cost_unknown", False)
    assert "path cost.actual" in finding.found
    assert not found(config(**COSTLY), silent, said)
    by_header = {"rate_limit": {"cost": 9, "from": {"header": "X-Cost"}}}
    [finding] = found(config(**by_header), silent)
    assert "header X-Cost" in finding.found
    assert not found(config(**by_header), page({"items": ITEMS}, X_Cost="3"))
