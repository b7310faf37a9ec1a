"""docs/answers.md, held against the code: its tables are what the rules say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from worker.core.errors import PermanentError, TransientError
from worker.core.model import MISSING
from worker.paging.refused_pages import MAX_SKIPPED
from worker.sources.answers import Evidence, error_of, judge, reply_of, rules_of
from worker.sources.http_config import HttpConfig
from worker.sources.rules import Action

PAGE = Path(__file__).parents[2] / "docs" / "answers.md"
PAGINATIONS: dict[str, dict[str, Any]] = {
    "page": {"type": "page", "param": "p"},
    "page with size": {"type": "page", "param": "p", "size_param": "s", "size": 5},
    "offset": {"type": "offset", "param": "o"},
    "offset with limit": {"type": "offset", "param": "o", "limit_param": "l", "limit": 5},
    "cursor": {"type": "cursor", "from": {"body": "n"}, "to": {"param": "c"}},
    "link_header": {"type": "link_header"},
    "next_url": {"type": "next_url", "path": "n"},
    "none": {"type": "none"},
}


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head."""
    text = PAGE.read_text().partition(f"\n{heading}\n")[2]
    lines = [line for line in text.partition("\n#")[0].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


ACTIONS = {row[0].strip("`"): row for row in table("## Actions")}


def test_every_action_is_in_the_table() -> None:
    assert set(ACTIONS) == set(get_args(Action))


@pytest.mark.parametrize("action", get_args(Action))
def test_what_becomes_of_an_answer_is_what_the_table_says(action: Any) -> None:
    _, becomes, _, failure, _ = ACTIONS[action]
    code = found[0] if (found := re.findall(r"^`(\w+)`", becomes)) else ""
    reply = reply_of(action, Evidence(500, {}, lambda path: MISSING, first=False), "said")
    if reply is not None or action == "page":
        assert not code and failure == "no"
        return
    error = error_of(action, "said", where="p", wait_s=None)
    assert error.code == code
    assert (failure == "yes") == (type(error) is TransientError)
    assert isinstance(error, TransientError | PermanentError)


@pytest.mark.parametrize("action", get_args(Action))
@pytest.mark.parametrize("name", PAGINATIONS)
def test_an_action_is_allowed_where_the_table_says(name: str, action: str) -> None:
    where = ACTIONS[action][4]
    kinds = {each.replace("`", "").strip() for each in where.split(",")}
    # a style alone is also allowed with a size
    allowed = where == "everywhere" or bool({name, name.partition(" ")[0]} & kinds)
    source = {"url": "https://h", "pagination": PAGINATIONS[name], "on_status": {500: action}}
    if allowed:
        assert HttpConfig.model_validate(source)
    else:
        with pytest.raises(ValidationError, match=f"{action} needs"):
            HttpConfig.model_validate(source)


STATUSES = table("## Statuses")
HEADERS = {
    "with a range in bytes": {"Content-Range": "bytes 0-9/20"},
    "with a limit that is used up": {"X-RateLimit-Remaining": "0"},
}


@pytest.mark.parametrize("row", STATUSES, ids=[row[0] for row in STATUSES])
def test_a_status_means_what_the_table_says(row: list[str]) -> None:
    rules = rules_of(HttpConfig.model_validate({"url": "https://h"}))
    said, *meanings = row
    headers = next((HEADERS[words] for words in HEADERS if words in said), {})
    for status in map(int, re.findall(r"\d{3}", said)):
        found = [
            judge(Evidence(status, headers, lambda path: MISSING, first=first), rules)
            for first in (True, False)
        ]
        assert found == meanings, status


def test_the_table_has_every_kind_of_answer() -> None:
    rules = rules_of(HttpConfig.model_validate({"url": "https://h"}))
    known = {meaning for row in STATUSES for meaning in row[1:]}
    assert {rule.meaning for rule in rules} - {"unchanged"} == known


def test_the_limit_of_the_page_is_that_of_the_code() -> None:
    assert f"More than {MAX_SKIPPED} such pages in a row" in PAGE.read_text()
