"""A tree of values that were merged, which still knows where each of them stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from worker.config.problems import Path_, Place, Problem
from worker.config.yaml import Document

Source = tuple[Document | str, Path_]
"""Where the root of a subtree stands: a file and the key path there, or an environment variable."""


_SHARED: Final[tuple[Path_, ...]] = (("defaults",), ("origins",))
"""Where keys stand that are meant for several pipelines."""
_SHARED_VARIABLES: Final = ("WORKER_DEFAULTS__", "WORKER_ORIGINS__")


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

    def at(self, path: Path_) -> Any:
        """The value at a path; None where there is none."""
        value: Any = self.values
        for part in path:
            if isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                value = value.get(part) if isinstance(value, dict) else None
        return value

    def is_written(self, path: Path_) -> bool:
        """Whether a value was given at its place, and not by `defaults` or an origin."""
        if (found := self._source(path)) is None:
            return False
        document, at = found
        if isinstance(document, str):
            return not document.startswith(_SHARED_VARIABLES)
        return at[:1] not in _SHARED

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
