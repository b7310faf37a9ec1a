"""Can data of one schema be read with another? Every reason that it cannot, with its path; and the levels that schema registries know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from worker.schema.errors import SchemaError
from worker.schema.model import NO_DEFAULT, Schema, Type
from worker.schema.resolve import Pair, fields_of

MAX_PROBLEMS: Final = 10_000
LEVELS: Final = (
    "NONE",
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
)


class Problem(NamedTuple):
    """One reason.

    Attributes:
        path: where in a datum, like `$.items[].price` (`{}` for the values of a map); `|name` is the branch of a union.
        code: stable short reason.
        some: only some data is unreadable (another branch, another symbol), so reading may still begin.
    """

    path: str
    code: str
    message: str
    some: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.message} [{self.code}]"


class Incompatibility(NamedTuple):
    """A problem between a new schema and version `version` of the earlier ones (its place in the list)."""

    version: int
    direction: str  # backward: the new schema cannot read old data; forward: the old schema cannot read new data
    problem: Problem


def problems(writer: Schema, reader: Schema) -> list[Problem]:
    """Why data of `writer` is not always readable as `reader`; at most MAX_PROBLEMS, none when it is. Raises SchemaError beyond its depth."""
    walk = _Walk(writer, reader)
    try:
        walk.types(writer.root, reader.root, "$", False)
    except RecursionError as error:
        raise SchemaError("$", "types refer to each other too deeply") from error
    return walk.found


def check(new: Schema, earlier: Sequence[Schema], level: str) -> list[Incompatibility]:
    """Every incompatibility of a new schema with earlier versions, oldest first; the last alone unless the level is transitive."""
    if level not in LEVELS:
        raise ValueError(f"level {level!r} is not one of {', '.join(LEVELS)}")
    found: list[Incompatibility] = []
    direction, _, transitive = level.partition("_")
    for version, old in enumerate(earlier):
        if not transitive and version < len(earlier) - 1:
            continue
        if direction in ("BACKWARD", "FULL"):
            found += [Incompatibility(version, "backward", each) for each in problems(old, new)]
        if direction in ("FORWARD", "FULL"):
            found += [Incompatibility(version, "forward", each) for each in problems(new, old)]
    return found


class _Walk(Pair):
    def __init__(self, writer: Schema, reader: Schema) -> None:
        super().__init__(writer, reader)
        self.found: list[Problem] = []
        self._said: set[Problem] = set()
        self._seen: dict[tuple[str, str], bool] = {}

    def types(self, written: Type, read: Type, path: str, some: bool) -> None:
        """Adds what is wrong between two types."""
        if len(self.found) >= MAX_PROBLEMS:
            return
        written, read = self.writer.resolve(written), self.reader.resolve(read)
        if written.kind == "union":
            several = len(written.branches) > 1
            for each in written.branches:
                label = self.writer.resolve(each).name or each.kind
                self.types(each, read, f"{path}|{label}" if several else path, some or several)
        elif read.kind == "union":
            self._into_union(written, read, path, some)
        elif (wrong := self.mismatch(written, read)) is not None:
            self._add(path, *wrong, some)
        elif written.kind == "record":
            self._records(written, read, path, some)
        elif written.kind == "enum":
            self._enums(written, read, path)
        elif written.items is not None and read.items is not None:
            self.types(
                written.items,
                read.items,
                f"{path}[]" if written.kind == "array" else f"{path}{{}}",
                some,
            )

    def _into_union(self, written: Type, read: Type, path: str, some: bool) -> None:
        number = self.branch(written, read)
        if number is not None:
            self.types(written, read.branches[number], path, some)
            return
        branches = [self.reader.resolve(each) for each in read.branches]
        alike = next(
            (each for each in branches if written.items is not None and each.kind == written.kind),
            None,
        )
        if alike is not None:  # its only branch of that kind: what is wrong is inside
            self.types(written, alike, path, some)
            return
        label = written.name or written.kind
        near = next(
            (
                wrong
                for each in branches
                if each.kind == written.kind and (wrong := self.mismatch(written, each)) is not None
            ),
            None,
        )
        because = f" ({near[1]})" if near is not None else ""
        allowed = ", ".join(each.name or each.kind for each in branches) or "nothing"
        self._add(
            path,
            "missing_union_branch",
            f"{label} is no branch of the reader's union of {allowed}{because}",
            some,
        )

    def _records(self, written: Type, read: Type, path: str, some: bool) -> None:
        pair = (written.name, read.name)
        if pair in self._seen and (some or not self._seen[pair]):
            return  # compared already, or being compared: the type holds itself
        self._seen[pair] = some
        fields = fields_of(written, read)
        for each in written.fields:
            if each.name in fields:
                self.types(each.type, fields[each.name].type, f"{path}.{each.name}", some)
        taken = {each.name for each in fields.values()}
        for each in read.fields:
            if each.name not in taken and each.default is NO_DEFAULT:
                self._add(
                    f"{path}.{each.name}",
                    "missing_default",
                    "the writer has no such field, and the reader's has no default",
                    some,
                )

    def _enums(self, written: Type, read: Type, path: str) -> None:
        known = frozenset(read.symbols)
        missing = [symbol for symbol in written.symbols if symbol not in known]
        if missing and read.default_symbol is None:
            shown = ", ".join(missing[:10])
            self._add(
                path,
                "missing_enum_symbols",
                f"the reader's enum lacks {shown} and has no default",
                len(missing) < len(written.symbols),
            )

    def _add(self, path: str, code: str, message: str, some: bool) -> None:
        problem = Problem(path, code, message, some)
        if problem not in self._said:
            self._said.add(problem)
            self.found.append(problem)
