"""YAML 1.2 with places: plain values, and for every key path the line it stands in.

Aliases may not multiply without bound.

Values are what JSON has: text that YAML would make a date stays text, because `revision:
2023-10-15` is meant as it stands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from worker.config.files import read_file
from worker.config.problems import ConfigProblems, Path_, Place, Problem, shown

MAX_NODES: Final = 100_000
MAX_DEPTH: Final = 64
MAX_BYTES: Final = 2 * 1024 * 1024
DATA_KEYS: Final = frozenset(
    {
        *("headers", "params", "body", "form", "first", "rename", "set", "equals", "not_equals"),
        *("times", "null_values"),
    }
)
"""Below these stand names of others, where `x-` means nothing: `headers: {x-api-version: 2}`."""

_BEGIN: Final = "begin with `version: 1` and `pipelines:`"
_TAG: Final = "tag:yaml.org,2002:"
_TIMESTAMP: Final = _TAG + "timestamp"
_MERGE: Final = _TAG + "merge"


@dataclass(slots=True)
class Document:
    """A file as plain Python.

    Attributes:
        lines: key path -> 1-based line of the key or item.
        as_written: key path -> a number as the file has it, where it is printed otherwise (`2.10`
            is 2.1).
        problems: what is wrong with it as YAML, besides what made it unreadable.
    """

    file: str
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path_, int] = field(default_factory=dict)
    as_written: dict[Path_, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Path_) -> Place:
        """Where a key path stands, or else the longest part of it that does."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        return Place(self.file, self.lines.get(known, 1), shown(path) if path else "")


def load_yaml(path: Path) -> Document:
    """Reads a file whose root is a mapping.

    Raises ConfigProblems with file and line when there is nothing to go on with.
    """
    yaml = _yaml()
    node = _composed(yaml, path, _text(path))
    if not isinstance(node, MappingNode):
        kind = "a list" if isinstance(node, SequenceNode) else "a single value"
        found = f"the root is {kind}, a mapping is needed"
        raise _fatal(path, found, _line(node), remedy=_BEGIN)
    document = Document(str(path))
    document.values = _Builder(document, yaml).mapping(node, (), 0)
    return document


def _composed(yaml: YAML, path: Path, text: str) -> Node:
    """The nodes of a text. Raises ConfigProblems for a text that is no YAML, or that is empty."""
    try:
        node: Node | None = yaml.compose(text)
    except MarkedYAMLError as error:
        raise _broken(path, error) from error
    except RecursionError as error:
        raise _fatal(path, f"nested deeper than {MAX_DEPTH} levels", 1) from error
    except (YAMLError, ValueError) as error:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        found = f"broken YAML: {str(error).splitlines()[0]}"
        raise _fatal(path, found, line, remedy="take control characters out") from error
    if node is None:
        raise _fatal(path, "the file is empty", 1, remedy=_BEGIN)
    return node


def _broken(path: Path, error: MarkedYAMLError) -> ConfigProblems:
    """What a parser says, with the line where it gave up, and the one where that began."""
    mark, began = error.problem_mark or error.context_mark, error.context_mark
    line = mark.line + 1 if mark else 1
    since = f", begun in line {began.line + 1}" if began and began.line + 1 != line else ""
    where = f" ({error.context}{since})" if error.context and error.problem else ""
    found = f"broken YAML: {error.problem or error.context}{where}"
    tab = "'\\t'" in found
    remedy = (
        "indent with spaces, YAML allows no tabs" if tab else "check indentation, colons and quotes"
    )
    return _fatal(path, found, line, remedy=remedy)


def plain_value(text: str) -> Any:
    """The value that a text has in YAML (`5`, `true`, `[a, b]`), for environment variables.

    ValueError when it has none.
    """
    document = Document("environment")
    yaml = _yaml()
    try:
        node = yaml.compose(text)
    except (YAMLError, RecursionError) as error:
        raise ValueError("no YAML value") from error
    value = None if node is None else _Builder(document, yaml).value(node, (), 0)
    if document.problems:
        raise ValueError(document.problems[0].found)
    return value


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.composer.warn_double_anchors = (
        False  # YAML 1.2 allows them, and a warning is no place for what is allowed
    )
    return yaml


def _text(path: Path) -> str:
    try:
        data = read_file(path, MAX_BYTES)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise _fatal(
            path,
            f"cannot be read: {why}",
            remedy="check the path; CONFIG is one or more YAML files",
        ) from error
    if len(data) > MAX_BYTES:
        raise _fatal(
            path,
            f"larger than {MAX_BYTES // 1024**2} MiB",
            remedy="split the pipelines into several files",
        )
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _fatal(
            path,
            "is not UTF-8 text",
            data.count(b"\n", 0, error.start) + 1,
            remedy="save it as UTF-8",
        ) from error


def _fatal(path: Path, found: str, line: int = 0, *, remedy: str = "") -> ConfigProblems:
    return ConfigProblems(
        [Problem("yaml" if line else "file", Place(str(path), line), found, remedy=remedy)]
    )


def _shown_tag(node: Node) -> str:
    return str(node.tag).replace(_TAG, "!!")


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


class _Builder:
    """Makes values of nodes; the document gets their lines, and what is wrong with them."""

    def __init__(self, document: Document, yaml: YAML) -> None:
        self._document = document
        self._scalars = yaml.constructor
        self._count = 0

    def value(self, node: Node, path: Path_, depth: int) -> Any:
        self._count += 1
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            raise self._too_much(node, path)
        if isinstance(node, MappingNode):
            self._no_tag(node, "map", path)
            return self.mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            self._no_tag(node, "seq", path)
            return self._sequence(node, path, depth)
        return self._scalar(node, path)

    def _too_much(self, node: Node, path: Path_) -> ConfigProblems:
        what = (
            f"more than {MAX_NODES} values when aliases are expanded"
            if self._count > MAX_NODES
            else f"nested deeper than {MAX_DEPTH} levels"
        )
        place = Place(self._document.file, _line(node), shown(path[:8]))
        return ConfigProblems([Problem("yaml", place, what)])

    def _sequence(self, node: SequenceNode, path: Path_, depth: int) -> list[Any]:
        items = []
        for number, item in enumerate(node.value):
            self._document.lines[(*path, number)] = _line(item)
            items.append(self.value(item, (*path, number), depth + 1))
        return items

    def mapping(self, node: MappingNode, path: Path_, depth: int) -> dict[str, Any]:
        """The values of a mapping: its own keys over those that `<<` merges."""
        # what is merged comes first, so that the lines of the own keys win
        merged = self._merged(node, path, depth)
        found: dict[str, Any] = {}
        data = any(part in DATA_KEYS for part in path)
        seen: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE or (name := self._key(key_node, path, seen)) is None:
                continue
            if name.startswith("x-") and not data:
                continue  # a place for anchors
            found[name] = self.value(value_node, (*path, name), depth + 1)
        return {**merged, **found}

    def _merged(self, node: MappingNode, path: Path_, depth: int) -> dict[str, Any]:
        """The values that `<<` merges; of several, the first one that has a key wins."""
        merged: dict[str, Any] = {}
        parents = [value for key, value in node.value if key.tag == _MERGE]
        for value in parents:
            for parent in value.value if isinstance(value, SequenceNode) else [value]:
                below = self.value(parent, path, depth + 1)
                if isinstance(below, dict):
                    merged = {**below, **merged}
                else:
                    self._refuse(parent, path, "`<<` merges mappings only")
        return merged

    def _key(self, node: Node, path: Path_, seen: set[str]) -> str | None:
        """The key of a mapping, added to those `seen`; None for what is none, or there already."""
        key = self._scalar(node, path) if isinstance(node, ScalarNode) else None
        if not isinstance(key, str | int) or isinstance(key, bool):
            self._refuse(node, path, "a key is text or a whole number", "write it in quotes")
            return None
        name = str(key)
        at = (*path, name)
        if name in seen:
            found = f"the key stands twice, first in line {self._document.lines[at]}"
            self._refuse(node, at, found, "take one of them out")
            return None
        seen.add(name)
        self._document.lines[at] = _line(node)
        return name

    def _scalar(self, node: Node, path: Path_) -> Any:
        if node.tag == _TIMESTAMP:
            return node.value
        try:
            value = self._scalars.construct_object(node)
        except (YAMLError, ValueError, OverflowError) as error:
            why = getattr(error, "problem", None) or str(error).splitlines()[0]
            self._refuse(node, path, f"cannot be read: {why}")
            return None
        if value is not None and not isinstance(value, str | int | float):
            self._refuse(
                node,
                path,
                f"the tag {_shown_tag(node)} is not known here",
                "values are text, numbers, true, false and null",
            )
            return None
        if isinstance(value, int | float) and not isinstance(value, bool):
            self._note_number(node, path, value)
        return value

    def _note_number(self, node: Node, path: Path_, value: Any) -> None:
        if isinstance(value, float) and not math.isfinite(value):
            self._refuse(node, path, f"{node.value} is no finite number")
        elif str(value) != node.value:
            self._document.as_written[path] = node.value
        else:
            self._document.as_written.pop(path, None)

    def _no_tag(self, node: Node, kind: str, path: Path_) -> None:
        if node.tag != _TAG + kind:
            self._refuse(node, path, f"the tag {_shown_tag(node)} is not known here")

    def _refuse(self, node: Node, path: Path_, found: str, remedy: str = "") -> None:
        place = Place(self._document.file, _line(node), shown(path))
        self._document.problems.append(Problem("yaml", place, found, remedy=remedy))
