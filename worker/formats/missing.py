"""What a JSON page says that has no records where the config says they are."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from worker.core.errors import RecordsMissing
from worker.core.json_kinds import describe_kind
from worker.core.outline import arrays_in, listing

SHOWN_KEYS: Final = 12
MISSING_REMEDY: Final = (
    "set source.records (or records: '@' for one object), name error bodies with on_body, "
    "or set records_missing: empty"
)


def has_errors(body: Any) -> bool:
    """Whether a body reports errors beside what it holds, as those of GraphQL do."""
    document = msgspec.json.decode(body)
    return isinstance(document, dict) and bool(document.get("errors"))


def missing_records(
    path: str | None, document: Any, why: str = "holds no array of records"
) -> RecordsMissing:
    """The error of a page without records at the path.

    Args:
        why: what is wrong with the value at the path.
    """
    shown, remedy = describe_kind(document), MISSING_REMEDY
    if isinstance(document, dict):
        shown = "an object with the keys " + ", ".join(map(repr, list(document)[:SHOWN_KEYS]))
        if path in document:
            shown += f"; for the key {path!r} itself write '\"{path}\"'"
        if arrays := arrays_in(document):
            shown += "; arrays are at " + listing([f"{at} ({size})" for at, size in arrays])
            remedy = f"records: {arrays[0][0]} is the likeliest path; else {MISSING_REMEDY}"
    elif isinstance(document, list) and path is not None:
        remedy = f"take records out: the page itself is the array; else {MISSING_REMEDY}"
    where = "the root" if path is None else f"records path {path!r}"
    return RecordsMissing(f"{where} {why}; the page is {shown}", remedy=remedy)
