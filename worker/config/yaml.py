"""YAML 1.2 with places: plain values, and for every key path the line it stands in. Aliases may not multiply without bound."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from worker.core.errors import ConfigError

MAX_NODES: Final = 100_000
MAX_DEPTH: Final = 64
MAX_BYTES: Final = 4 * 1024 * 1024

Path_ = tuple[str | int, ...]


@dataclass(slots=True)
class Document:
    """`values` as plain Python; `lines[path]` is the 1-based line of a key or item."""

    file: str
    values: dict[str, Any]
    lines: dict[Path_, int] = field(default_factory=dict)

    def place(self, path: Path_) -> str:
        """`file:line: a.b[0]` of the longest part of a path that stands in the file."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        return f"{self.file}:{self.lines.get(known, 1)}: {shown(path)}"


def shown(path: Path_) -> str:
    """A key path as people write it."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".") or "(root)"


def load_yaml(path: Path) -> Document:
    """Reads a file whose root is a mapping. Raises ConfigError with file and line."""
    yaml = YAML(typ="safe", pure=True)
    try:
        text = path.read_bytes()
        if len(text) > MAX_BYTES:
            raise ConfigError(f"{len(text)} bytes, at most {MAX_BYTES} are allowed", where=str(path))
        node = yaml.compose(text.decode())
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path), remedy="check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8 text", where=str(path)) from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"broken YAML: {error.problem or error.context}", where=f"{path}:{line}", remedy="check indentation, colons and quotes") from error
    except (YAMLError, RecursionError) as error:
        raise ConfigError(f"broken YAML: {str(error).splitlines()[0]}", where=str(path)) from error
    if not isinstance(node, MappingNode):
        raise ConfigError("the root is no mapping", where=f"{path}:1", remedy="begin with `version: 1` and `pipelines:`")
    document = Document(str(path), {})
    document.values = _Builder(document, yaml).mapping(node, (), 0)
    return document


class _Builder:
    def __init__(self, document: Document, yaml: YAML) -> None:
        self._document = document
        self._scalars = yaml.constructor
        self._count = 0

    def value(self, node: Node, path: Path_, depth: int) -> Any:
        self._count += 1
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            raise self._error(node, path, f"more than {MAX_NODES} values or {MAX_DEPTH} levels when aliases are expanded")
        if isinstance(node, MappingNode):
            return self.mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            items = []
            for number, item in enumerate(node.value):
                self._document.lines[(*path, number)] = item.start_mark.line + 1
                items.append(self.value(item, (*path, number), depth + 1))
            return items
        try:
            return self._scalars.construct_object(node)
        except (YAMLError, ValueError) as error:
            raise self._error(node, path, f"cannot be read: {str(error).splitlines()[0]}") from error

    def mapping(self, node: MappingNode, path: Path_, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if isinstance(key_node, ScalarNode) and key_node.value == "<<":
                parents = value_node.value if isinstance(value_node, SequenceNode) else [value_node]
                for parent in parents:
                    merged = {**self.value(parent, path, depth + 1), **merged}
                continue
            key = self.value(key_node, path, depth + 1)
            if not isinstance(key, str | int) or isinstance(key, bool):
                raise self._error(key_node, path, f"the key {key!r} is no text")
            name = str(key)
            if name in found:
                raise self._error(key_node, (*path, name), "the key stands twice")
            self._document.lines[(*path, name)] = key_node.start_mark.line + 1
            if name.startswith("x-"):
                continue  # a place for anchors
            found[name] = self.value(value_node, (*path, name), depth + 1)
        return {**merged, **found}

    def _error(self, node: Node, path: Path_, message: str) -> ConfigError:
        return ConfigError(message, where=f"{self._document.file}:{node.start_mark.line + 1}: {shown(path)}")
