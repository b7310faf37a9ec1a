"""Fields of the records that the schema lacks, added up over the pages of an attempt."""

from __future__ import annotations

from typing import Any, Final

from worker.core.events import Emit, FieldUnknown
from worker.core.model import Facts, Unknown

MAX_UNKNOWN: Final = 200
"""Fields that are counted; records whose keys are data would have any number of them."""
NAME_CHARS: Final = 100


class UnknownFields:
    """Counts of one pipeline. A field is announced when it is first seen."""

    def __init__(self, pipeline: str, emit: Emit) -> None:
        self._pipeline, self._emit = pipeline, emit
        self._seen: dict[str, Unknown] = {}

    def add(self, facts: Facts) -> None:
        """Adds what was found in the sampled records of a page."""
        for name, found in facts.unknown.items():
            if (before := self._seen.get(name)) is not None:
                kinds = tuple(sorted({*before.kinds, *found.kinds}))
                self._seen[name] = Unknown(before.count + found.count, kinds)
            elif len(self._seen) < MAX_UNKNOWN:
                self._seen[name] = found
                self._emit(FieldUnknown(self._pipeline, name[:NAME_CHARS], found.kinds))

    def status(self) -> dict[str, Any]:
        """For `/status`: the number of sampled records and the types seen, by field."""
        return {
            name: {"records": seen.count, "types": list(seen.kinds)}
            for name, seen in self._seen.items()
        }
