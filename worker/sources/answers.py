"""What an answer of the source means: rules in order, of which the first that holds decides. Pure.

1. `304` to a conditional request: the source is unchanged.
2. `pagination.split_on`: the window is too long for the source.
3. `stop.status`: the page before was the last one.
4. `on_status`, then the table of statuses below; `on_body` says whether a 202 brings a page.
5. A page is decoded; then `on_body` may say that it is none.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from worker.core.errors import (
    AuthError,
    CursorInvalid,
    NotReady,
    PermanentError,
    RateLimited,
    TransientError,
    WorkerError,
)
from worker.http.retry_after import limit_reached
from worker.paging.spec import Reply
from worker.sources.conditions import Read, When
from worker.sources.http_config import HttpConfig
from worker.sources.rules import Action

Meaning = (
    Action
    | Literal[
        "unchanged",
        "split",
        "past_the_end",
        "cursor_invalid",
        "not_modified",
        "denied",
        "not_ready",
        "partial",
    ]
)

ANY_STATUS: Final = range(1000)
CURSOR_REMEDY: Final = (
    "`worker state reset` starts the partition again; where it means the end of the pass, "
    "say so with source.on_status or source.stop.status"
)
NOT_MODIFIED_REMEDY: Final = (
    "use source.conditional, take validators out of source.headers, or say what this status means "
    "with source.on_status"
)
STATUS_REMEDY: Final = "check url and params, or say what this status means with source.on_status"
NOT_READY_REMEDY: Final = (
    "where this status brings records, say so with source.on_status: {202: page}; a longer wait is "
    "source.retry.deadline"
)
PARTIAL_REMEDY: Final = "take Range out of source.headers: a page is read whole"
DENIED_REMEDY: Final = "check source.auth and the rights of its credentials"


class Evidence(msgspec.Struct, frozen=True, gc=False):  # one per page, made in a tenth of the time
    """What the rules know of a response.

    Attributes:
        read: the value of the body at a path.
        first: it answers the request for the first page of a pass, or of its window.
        conditional: the request asked for changes only (RFC 9110, 13).
    """

    status: int
    headers: Mapping[str, str]
    read: Read
    first: bool
    conditional: bool = False


Holds = Callable[[Evidence], bool]
"""Whether a rule holds for an answer."""


def _always(evidence: Evidence) -> bool:
    return True


def _later(evidence: Evidence) -> bool:
    """Pages came before, so the answer may be about the position, or about the end of the pass."""
    return not evidence.first


def _both(one: Holds, two: Holds) -> Holds:
    return lambda evidence: one(evidence) and two(evidence)


@dataclass(frozen=True, slots=True)
class Rule:
    """An answer with one of the statuses for which `when` holds has this meaning."""

    statuses: Container[int]
    meaning: Meaning
    when: Holds = _always


def judge(evidence: Evidence, rules: Iterable[Rule]) -> Meaning:
    """The meaning by the first rule that holds. The last rule holds for every answer."""
    for rule in rules:
        if evidence.status in rule.statuses and rule.when(evidence):
            return rule.meaning
    raise AssertionError("no rule holds")


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a source: for a response as it came, and for the body of a page."""

    by_status: tuple[Rule, ...]
    by_body: tuple[Rule, ...]

    @classmethod
    def of(cls, config: HttpConfig) -> Rules:
        """The rules of a config, followed by those that hold for every source."""
        known = (*_on_status(config), *_on_body(config, {202}), *_TABLE)
        return cls(
            by_status=(_UNCHANGED, *_splits(config), *_ends(config, known), *known),
            by_body=(*_on_body(config, ANY_STATUS), Rule(ANY_STATUS, "page")),
        )


def _on_status(config: HttpConfig) -> Iterator[Rule]:
    for status, action in config.on_status.items():
        yield from _configured({status}, action, _always)


def _on_body(config: HttpConfig, statuses: Container[int]) -> Iterator[Rule]:
    for rule in config.on_body:
        yield from _configured(statuses, rule.do, _says(rule.when))


def _configured(statuses: Container[int], action: Action, when: Holds) -> Iterator[Rule]:
    if action == "stop":  # a pass cannot end before its first page: there it is a failure
        yield Rule(statuses, "stop", _both(_later, when))
        yield Rule(statuses, "fail", when)
    else:
        yield Rule(statuses, action, when)


def _splits(config: HttpConfig) -> Iterator[Rule]:
    windows = config.pagination.windows
    if windows is not None and (split := windows.split_on) is not None:
        yield Rule({split.status}, "split", _says(split.when))


def _ends(config: HttpConfig, known: tuple[Rule, ...]) -> Iterator[Rule]:
    """`stop.status`; a status that brings a page is never the one after the last page."""
    for each in config.stop.status:
        evidence = Evidence(each.code, {}, lambda path: None, first=False)
        if judge(evidence, known) != "page":
            yield Rule({each.code}, "past_the_end", _both(_later, _says(each.when)))


def _says(when: When | None) -> Holds:
    """Whether the body of an answer is as `when` demands; without one each is."""
    return _always if when is None else lambda evidence: when.holds(evidence.read)


def _part_of_bytes(evidence: Evidence) -> bool:
    """Whether a body is a part of a document (RFC 9110, 14.4); other ranges are of records."""
    headers = evidence.headers
    unit = headers.get("Content-Range", "").strip().lower()
    kind = headers.get("Content-Type", "").strip().lower()
    return unit.startswith("bytes") or kind.startswith("multipart/byteranges")


_UNCHANGED: Final = Rule({304}, "unchanged", lambda evidence: evidence.conditional)

# What statuses mean unless the config says something else (RFC 9110, 15; RFC 6585, 4 for 429).
_TABLE: Final = (
    Rule({202}, "not_ready"),
    Rule({204, 205}, "empty"),
    Rule({206}, "partial", _part_of_bytes),
    Rule(range(200, 300), "page"),
    Rule({304}, "not_modified"),
    Rule({400, 410}, "cursor_invalid", _later),
    Rule({401}, "refresh_auth"),
    Rule({403}, "rate_limited", lambda evidence: limit_reached(evidence.headers)),
    Rule({403}, "denied"),
    Rule({429}, "rate_limited"),
    Rule({408, 425}, "retry"),
    Rule({501, 505}, "fail"),
    Rule(range(500, 1000), "retry"),
    Rule(ANY_STATUS, "fail"),
)


def reply_of(meaning: Meaning, evidence: Evidence, said: str) -> Reply | None:
    """What the planner is told of an answer without a page; None for a meaning that is an error.

    Args:
        said: the status and the beginning of the body.
    """
    headers = evidence.headers
    if meaning == "unchanged":
        return Reply(None, headers, unchanged=True)
    if meaning == "split":
        return Reply(None, headers, split=said)
    if meaning == "empty":
        return Reply(None, headers)
    if meaning == "past_the_end":
        return Reply(None, headers, stop=f"status {evidence.status}")
    if meaning in ("stop", "skip"):
        return Reply(None, headers, stop=f"status {evidence.status} ({meaning})")
    return None


def error_of(meaning: Meaning, said: str, *, where: str, wait_s: float | None) -> WorkerError:
    """The error that an answer is.

    Args:
        said: the status and the beginning of the body.
        where: the partition and the URL.
        wait_s: how long the source asked us to wait, in seconds.
    """
    if meaning == "rate_limited":
        return RateLimited(said, retry_after_s=wait_s, where=where)
    if meaning == "retry":
        return TransientError(said, retry_after_s=wait_s, where=where)
    if meaning == "not_ready":
        said = f"the source is not ready yet: {said}"
        return NotReady(said, retry_after_s=wait_s, where=where, remedy=NOT_READY_REMEDY)
    if meaning == "partial":
        said = f"the body is a part of a document, and not a page: {said}"
        return PermanentError(said, where=where, remedy=PARTIAL_REMEDY)
    if meaning in ("denied", "refresh_auth"):
        return AuthError(said, where=where, remedy=DENIED_REMEDY)
    if meaning == "cursor_invalid":
        return CursorInvalid(said, where=where, remedy=CURSOR_REMEDY)
    if meaning == "not_modified":
        said = f"the answer is not modified, but this request did not ask for changes only: {said}"
        return PermanentError(said, where=where, remedy=NOT_MODIFIED_REMEDY)
    return PermanentError(said, where=where, remedy=STATUS_REMEDY)
