"""What an answer of the source means: rules in order, of which the first that holds decides. Pure.

1. `304` to a conditional request: the source is unchanged.
2. `pagination.split_on`: the window is too long for the source.
3. `stop.status`: the page before was the last one.
4. `responses`, which the short forms of it have become a part of when the config was loaded.
5. The table of statuses below.

Rules that look at the body are asked once it is read. Where an answer may be a page, that is when
it was decoded, so that no body is read twice.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
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
from worker.core.model import MISSING
from worker.http.headers import REDIRECTS
from worker.http.retry_after import limit_reached
from worker.paging.spec import Reply
from worker.sources.conditions import Read, When
from worker.sources.http_config import HttpConfig
from worker.sources.rules import ANY_STATUS, Action, ResponseRule

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

CURSOR_REMEDY: Final = (
    "`worker state reset` starts the partition again; where it means the end of the pass, "
    "say so with source.on_status or source.stop.status"
)
NOT_MODIFIED_REMEDY: Final = (
    "use source.conditional, take validators out of source.headers, or say what this status means "
    "with source.on_status"
)
STATUS_REMEDY: Final = (
    "check url and params, or say what this status means with source.on_status, or with "
    "source.responses where its body tells"
)
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


@dataclass(frozen=True, slots=True)
class Rule:
    """An answer with one of the statuses for which both conditions hold has this meaning.

    Attributes:
        when: what is known of the answer without its body.
        says: what its body says; None: whatever it says.
    """

    statuses: Container[int]
    meaning: Meaning
    when: Holds = _always
    says: When | None = None

    def is_said(self, evidence: Evidence) -> bool:
        """Whether the body of an answer says what the rule is about."""
        return self.says is None or self.says.holds(evidence.read)


def judge(evidence: Evidence, rules: Iterable[Rule]) -> Meaning:
    """The meaning by the first rule that holds. The last rule holds for every answer."""
    for rule in _rules_of(evidence, rules):
        if rule.is_said(evidence):
            return rule.meaning
    raise AssertionError("no rule holds")


def is_decided(evidence: Evidence, rules: Iterable[Rule]) -> bool:
    """Whether one of the rules holds for an answer."""
    return any(rule.is_said(evidence) for rule in _rules_of(evidence, rules))


def may_mean(evidence: Evidence, rules: Iterable[Rule]) -> list[Meaning]:
    """What an answer may mean before its body is read. The last one is what it means where no rule
    about its body holds.
    """
    return [rule.meaning for rule in _rules_of(evidence, rules)]


def _rules_of(evidence: Evidence, rules: Iterable[Rule]) -> Iterator[Rule]:
    """The rules that may decide, up to the first one that holds whatever the body says."""
    for rule in rules:
        if evidence.status in rule.statuses and rule.when(evidence):
            yield rule
            if rule.says is None:
                return


def rules_of(config: HttpConfig) -> tuple[Rule, ...]:
    """The rules of a config, followed by those that hold for every source."""
    known = (*_configured(config.responses), *_TABLE)
    return (_UNCHANGED, *_splits(config), *_ends(config, known), *known)


def redirect_rules_of(config: HttpConfig) -> tuple[Rule, ...]:
    """The rules that a redirect is held against before it is followed: those that name statuses.

    A rule for any status is about what a body says, and that of a redirect is no answer.
    """
    named = [rule for rule in config.responses if rule.status]
    ends = (Rule({each.code}, "past_the_end", _later, each.when) for each in config.stop.status)
    return (*_splits(config), *ends, *_configured(named))


def redirects_named_in(rules: Sequence[Rule]) -> frozenset[int]:
    """The statuses of redirects that rules are about."""
    return frozenset(
        status for status in REDIRECTS if any(status in rule.statuses for rule in rules)
    )


def _configured(rules: Iterable[ResponseRule]) -> Iterator[Rule]:
    for rule in rules:
        statuses = frozenset(rule.statuses)
        if rule.do == "stop":  # a pass cannot end before its first page: there it is a failure
            yield Rule(statuses, "stop", _later, rule.when)
            yield Rule(statuses, "fail", says=rule.when)
        else:
            yield Rule(statuses, rule.do, says=rule.when)


def _splits(config: HttpConfig) -> Iterator[Rule]:
    windows = config.pagination.windows
    if windows is not None and (split := windows.split_on) is not None:
        yield Rule({split.status}, "split", says=split.when)


def _ends(config: HttpConfig, known: tuple[Rule, ...]) -> Iterator[Rule]:
    """`stop.status`; a status that brings a page is never the one after the last page."""
    for each in config.stop.status:
        evidence = Evidence(each.code, {}, lambda path: MISSING, first=False)
        if may_mean(evidence, known)[-1] != "page":
            yield Rule({each.code}, "past_the_end", _later, each.when)


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
    if meaning == "stop":
        return Reply(None, headers, stop=f"status {evidence.status} ({meaning})")
    if meaning == "skip":
        return Reply(None, headers, skipped=said)
    if meaning == "smaller_page":
        return Reply(None, headers, too_large=said)
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
