"""A tree of values that were merged, which still knows where each of them stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from worker.config.problems import Path_, Place, Problem
from worker.config.yaml import Document

Source = tuple[Document | str, Path_]
"""Where the root of a subtree stands: a file and the key path there, or an environment variable."""


@dataclass(slots=True)
class Merged:
    """`values` as the models take them; `sources` has the source of the root of each subtree."""

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[Path_, Source] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def first(self) -> Document | str:
        """The first file."""
        return self.sources[()][0]

    def place(self, path: Path_) -> Place:
        """Where a value of the merged tree stands."""
        if (found := self._source(path)) is None:
            return Place("config", 0, ".".join(map(str, path)))
        document, at = found
        return (
            Place("environment", 0, document) if isinstance(document, str) else document.place(at)
        )

    def as_written(self, path: Path_) -> str | None:
        """A number as the file has it, where it is printed otherwise."""
        document, at = self._source(path) or ("", ())
        return None if isinstance(document, str) else document.as_written.get(at)

    def take(self, path: Path_, value_of: Path_) -> None:
        """Notes that the value at `path` came from another path of the tree."""
        self.sources[path] = self.sources.get(value_of) or (self.first, value_of)

    def note(self, code: str, path: Path_, found: str, allowed: str = "", remedy: str = "") -> None:
        """Notes a problem at a path."""
        self.problems.append(Problem(code, self.place(path), found, allowed, remedy))

    def _source(self, path: Path_) -> Source | None:
        """The source of the value at a path."""
        known = path
        while known and known not in self.sources:
            known = known[:-1]
        if known not in self.sources:
            return None
        document, base = self.sources[known]
        return document, base + path[len(known) :]
