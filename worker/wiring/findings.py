"""What a look at a source shows of its config: paths that lead nowhere, and records that none is.

A run would find the same later, or never. `check --connect` and `read` say it at once. A finding
is an alarm only where the pages show that it is no ordinary day: a last page has no next one, and
says so by leaving it out. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from worker.config.problems import near_miss
from worker.core.errors import WorkerError
from worker.core.jsonpath import plain_keys, reader
from worker.core.model import MISSING, Decoded, Doubt, Reject
from worker.core.outline import listing, path_text, paths_in, values_in
from worker.paging.marks import MarkFormat
from worker.sources.http_config import HttpConfig
from worker.sources.places import Locator

LOOKED_AT: Final = 100
"""Records of a page that are looked at."""

_WHAT: Final = "page|cursor|token|ur[li]|link|href|offset|marker|key|id|start|position|query|max"
_NEXT: Final = re.compile(
    rf"\bnext$|next[_-]?(?:{_WHAT})|cursor|continu|page_?token|scroll|bookmark|^after$",
    re.IGNORECASE,
)
_LINKS: Final = ("href", "url", "uri")
_OTHER: Final = re.compile(r"prev|before|self|first|current|start", re.IGNORECASE)
_MORE: Final = re.compile(r"has_?(more|next)|more_?(pages|items|results)|^more$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the pages show of the config.

    Attributes:
        alarm: it is wrong; otherwise it may be.
    """

    code: str
    found: str
    remedy: str
    alarm: bool = True

    def __str__(self) -> str:
        return f"[{self.code}] {self.found} ({self.remedy})"


@dataclass(frozen=True, slots=True)
class PageSeen:
    """A page as it came.

    Attributes:
        document: the body; None where it is no JSON document.
        records: the first records, parsed; those that are no objects are left out.
        received: how many there are.
        doubts: the fields whose times are most likely counted in another unit.
    """

    document: Any
    headers: Mapping[str, str]
    records: Sequence[Mapping[str, Any]]
    received: int
    doubts: Mapping[str, Doubt] = field(default_factory=dict)

    @classmethod
    def of(cls, body: bytes, headers: Mapping[str, str], decoded: Decoded) -> PageSeen:
        raws = map(decoded.raw, range(min(decoded.facts.count, LOOKED_AT)))
        records = [each for each in map(_parsed, raws) if isinstance(each, dict)]
        facts = decoded.facts
        return cls(_parsed(body), headers, records, facts.count, facts.doubts)


@dataclass(slots=True)
class Seen:
    """What was seen of a source: its pages, and the records that were rejected."""

    pages: list[PageSeen] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    @property
    def received(self) -> int:
        """Records of all pages."""
        return sum(page.received for page in self.pages)


def findings(config: HttpConfig, seen: Seen) -> list[Finding]:
    """What the pages show. Nothing where no records came."""
    if not seen.received:
        return []
    return [
        *_rejected(config, seen),
        *_doubtful(seen),
        *_key(config, seen),
        *_token(config, seen),
        *_costs(config, seen),
    ]


def explain(error: WorkerError, found: Sequence[Finding]) -> None:
    """Gives an error the remedy of a finding of the same code, which names what is there."""
    for finding in found:
        if finding.alarm and finding.code == error.code:
            error.remedy = finding.remedy


def _costs(config: HttpConfig, seen: Seen) -> Iterator[Finding]:
    """No answer says what its request has cost."""
    for limit in config.rate_limit or ():
        place = limit.from_
        if place is not None and all(_cost(place, page) is MISSING for page in seen.pages):
            where = f"header {place.header}" if place.header else f"path {place.body}"
            yield Finding(
                "cost_unknown",
                f"no answer says what its request has cost: the {where} of rate_limit is absent",
                "correct rate_limit.from; until an answer says it, each request counts as 1",
                alarm=False,
            )


def _cost(place: Locator, page: PageSeen) -> Any:
    if place.header is not None:
        return page.headers.get(place.header, MISSING)
    return reader(place.body or "")(page.document)


# -- records ---------------------------------------------------------------------------------------


def _rejected(config: HttpConfig, seen: Seen) -> Iterator[Finding]:
    """Every record is a reject."""
    if len(seen.rejects) < seen.received:
        return
    if all(each.code == "incremental_value" for each in seen.rejects):
        yield _unreadable(config, seen)
        return
    error = seen.rejects[0].errors[0]
    yield Finding(
        "all_rejected",
        f"all {seen.received} records are rejects; the first: {error.path}: found {error.found}, "
        f"allowed {error.allowed}",
        _way_out(error.allowed),
    )


def _doubtful(seen: Seen) -> Iterator[Finding]:
    """Times that are most likely counted in another unit than the schema's."""
    doubts: dict[str, Doubt] = {}
    for page in reversed(seen.pages):
        doubts |= page.doubts
    for name, doubt in doubts.items():
        found = f"times of {name} are days in 1970: the first is {doubt.detail}"
        yield Finding("time_doubtful", found, doubt.remedy(name), alarm=False)


def _way_out(allowed: str) -> str:
    """What to do about a value that is not what is allowed."""
    if "RFC 3339" in allowed or "decode.times" in allowed:
        return (
            "set decode.times, or decode.time_zone, to how the source writes its times; or make "
            "the field a string in schema, and a timestamp with timestamp(x, format) in a "
            "transform and output_schema"
        )
    if "decode." in allowed:
        return "set the key of decode that the error names, or correct schema"
    return "correct schema, or name the place of the records with source.records"


def _unreadable(config: HttpConfig, seen: Seen) -> Finding:
    incremental = config.incremental
    assert incremental is not None, "only its values are rejected as such"
    name, form = incremental.field, incremental.format.record
    found = seen.rejects[0].errors[0].found
    if found == "absent":
        remedy = _names_there(name, seen, "source.incremental.field")
        return Finding("incremental_value", f"no record has {name}", remedy)
    return Finding(
        "incremental_value",
        f"{name} of no record is a value of the format {form}: found {found}",
        f"{_likely_format(name, seen)}set source.incremental.format.record to the way in which the "
        "source writes it: rfc3339, epoch_s, epoch_ms, epoch_us, epoch_ns, json_date, int, string "
        "or a strptime pattern; or decode.time_zone, where its text has no zone",
    )


def _likely_format(path: str, seen: Seen) -> str:
    """Which format a value is most likely written in; empty where none is likely."""
    records = (record for page in seen.pages for record in page.records)
    value = next(map(reader(path), records), None)
    try:
        MarkFormat().parser()(value)
        return "it looks like rfc3339; "
    except (ValueError, TypeError, OverflowError):
        pass
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    likely = [form for form, (low, high) in _MAGNITUDES.items() if low <= value < high]
    return f"it looks like {likely[0]}; " if likely else ""


_MAGNITUDES: Final = {
    "epoch_s": (1e8, 1e11),
    "epoch_ms": (1e11, 1e14),
    "epoch_us": (1e14, 1e17),
}
"""Numbers of times between 1973 and 5138."""


def _key(config: HttpConfig, seen: Seen) -> Iterator[Finding]:
    """No record has the key, or a part of it."""
    records = [record for page in seen.pages for record in page.records]
    if not records or not config.key:
        return
    never = [path for path in config.key if not any(map(_has(path), records))]
    for path in never:
        alarm = len(never) == len(config.key)
        yield Finding(
            "key_missing",
            f"no record has {path}, a part of source.key",
            _names_there(path, seen, "source.key"),
            alarm,
        )


def _names_there(path: str, seen: Seen, key: str) -> str:
    names = _paths_of_records(seen.pages)
    near = near_miss(path, names)
    return f"{f'did you mean {near}? ' if near else ''}correct {key}: records have {listing(names)}"


def _has(path: str) -> Any:
    """Whether a record has a value at a path."""
    read = reader(path)
    return lambda record: read(record) not in (MISSING, None)


# -- the next page ---------------------------------------------------------------------------------


def _token(config: HttpConfig, seen: Seen) -> Iterator[Finding]:
    """No page has what the next one is asked for with."""
    at = config.pagination.token_at
    if at is None or any(_has_token(at, page) for page in seen.pages):
        return
    page = next(page for page in seen.pages if page.received)
    name, place, there = _place_of_token(at, page)
    signs = [*_signs_of_more(page), *_full(config, page)]
    near = near_miss(name, there)
    alarm = bool(near or signs)
    said = f"the page has no {place}; it may be the last one"
    if alarm:
        why = f"; {' and '.join(signs)}" if signs else ""
        said = f"the page has no {place}, so it would be the last one{why}"
    likely = f"did you mean {near}? " if near else ""
    remedy = f"{likely}correct source.pagination: there are {listing(there)}"
    yield Finding("token_missing", said, remedy, alarm)


def _place_of_token(at: Any, page: PageSeen) -> tuple[str, str, list[str]]:
    """The name of the token, where it is in words, and what is there instead."""
    if at.header is not None:
        return at.header, f"the header {at.header}", sorted(page.headers)
    if (last := getattr(at, "last_record", None)) is not None:
        return last, f"{last} of the last record", _paths_of_records([page])
    return at.body, f"{at.body}", _envelope(page.document)


def _has_token(at: Any, page: PageSeen) -> bool:
    """Whether a page says which one is next, or that there is none: null is told too."""
    if at.header is not None:
        return at.header.lower() in {name.lower() for name in page.headers}
    if (last := getattr(at, "last_record", None)) is not None:
        return not page.records or reader(last)(page.records[-1]) not in (MISSING, None)
    if page.document is None:
        return True
    found = reader(at.body)(page.document)
    # other paths than plain ones cannot tell null from absent
    return found is not MISSING and not (found is None and plain_keys(at.body) is None)


def _envelope(document: Any) -> list[str]:
    """The paths of a page round its records."""
    return [
        path_text(keys) for keys, value in values_in(document) if not isinstance(value, dict | list)
    ]


def _paths_of_records(pages: Sequence[PageSeen]) -> list[str]:
    records = (record for page in pages for record in page.records)
    return list(dict.fromkeys(name for record in records for name in paths_in(record)))


def _signs_of_more(page: PageSeen) -> Iterator[str]:
    """What a page says of a next one."""
    values = list(values_in(page.document))
    flags = [str(value).lower() for keys, value in values if _MORE.search(keys[-1])]
    if "false" in flags:
        return
    if "true" in flags:
        yield "it says that there are more"
    for keys, value in values:
        if _is_next(keys[-2] if keys[-1] in _LINKS and len(keys) > 1 else keys[-1], value):
            yield f"it has {path_text(keys)}"
    for name in page.headers:
        if _is_next(name, name):
            yield f"it has the header {name}"


def _is_next(name: str, value: Any) -> bool:
    """Whether a name promises what the next page is asked for with, and the value may be that."""
    if not _NEXT.search(name) or _OTHER.search(name) or _MORE.search(name):
        return False
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def _full(config: HttpConfig, page: PageSeen) -> Iterator[str]:
    """Whether as many records came as a parameter asks for."""
    for name, value in config.plain_params.items():
        if str(value) == str(page.received) and page.received > 1:
            yield f"it has as many records as {name} asks for"


def _parsed(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
