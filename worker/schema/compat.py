"""Whether data of one schema can be read with another: every reason that it cannot, with its path,
and the compatibility levels that schema registries know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from worker.schema.errors import SchemaError
from worker.schema.model import NO_DEFAULT, Schema, Type, by_kind
from worker.schema.resolve import INTO_UNION, MISMATCH, Pair, fields_of

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
    """One reason why data cannot be read.

    Attributes:
        path: where in a datum, like `$.items[].price`; `{}` stands for the values of a map, and
            `|name` for a branch of a union.
        code: a short name of the reason that stays the same.
        some: only some data cannot be read (another branch, another symbol), so reading may begin.
    """

    path: str
    code: str
    message: str
    some: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.message} [{self.code}]"


class Incompatibility(NamedTuple):
    """A problem between a new schema and an earlier version of it.

    Attributes:
        version: the index of the earlier version.
        direction: `backward` when the new schema cannot read old data, `forward` when the old
            schema cannot read new data.
    """

    version: int
    direction: str
    problem: Problem


def problems(writer: Schema, reader: Schema) -> list[Problem]:
    """Why data of `writer` cannot always be read as `reader`: at most MAX_PROBLEMS reasons, none
    when it can.

    Raises:
        SchemaError: the types refer to each other too deeply to compare them.
    """
    walk = _Walk(writer, reader)
    try:
        walk.compare(writer.root, reader.root, "$", False)
    except RecursionError as error:
        raise SchemaError("$", "types refer to each other too deeply") from error
    return walk.found


def check(new: Schema, earlier: Sequence[Schema], level: str) -> list[Incompatibility]:
    """Every incompatibility of a new schema with earlier versions, oldest first; unless the level
    is transitive, only with the last version.

    Raises:
        ValueError: `level` is not one of LEVELS.
    """
    if level not in LEVELS:
        raise ValueError(f"level {level!r} is not one of {', '.join(LEVELS)}")
    found: list[Incompatibility] = []
    direction, _, transitive = level.partition("_")
    first = 0 if transitive else max(0, len(earlier) - 1)
    for version, old in list(enumerate(earlier))[first:]:
        if direction in ("BACKWARD", "FULL"):
            found += [Incompatibility(version, "backward", each) for each in problems(old, new)]
        if direction in ("FORWARD", "FULL"):
            found += [Incompatibility(version, "forward", each) for each in problems(new, old)]
    return found


class _Walk(Pair):
    """Compares types from the roots on and collects the problems."""

    def __init__(self, writer: Schema, reader: Schema) -> None:
        super().__init__(writer, reader)
        self.found: list[Problem] = []
        self._known: set[Problem] = set()
        self._seen: dict[tuple[str, str], bool] = {}  # pairs of records -> only for some data

    def compare(self, writer_type: Type, reader_type: Type, path: str, some: bool) -> None:
        """Adds the problems between two types.

        Args:
            some: whether only some data comes here.
        """
        if len(self.found) >= MAX_PROBLEMS:
            return
        writer_type = self.writer.resolve(writer_type)
        reader_type = self.reader.resolve(reader_type)
        compare = self._BY_RULE[self.rule(writer_type, reader_type)]
        compare(self, writer_type, reader_type, path, some)

    def _same(self, writer_type: Type, reader_type: Type, path: str, some: bool) -> None:
        """Types without inner types that match have no problem."""

    def _mismatch(self, writer_type: Type, reader_type: Type, path: str, some: bool) -> None:
        if (wrong := self.mismatch(writer_type, reader_type)) is not None:
            self._add(path, *wrong, some)

    def _union(self, writer_type: Type, reader_type: Type, path: str, some: bool) -> None:
        if len(writer_type.branches) == 1:
            self.compare(writer_type.branches[0], reader_type, path, some)
            return
        for each in writer_type.branches:
            label = self.writer.resolve(each).name or each.kind
            self.compare(each, reader_type, f"{path}|{label}", True)

    def _into_union(self, writer_type: Type, reader_type: Type, path: str, some: bool) -> None:
        number = self.branch(writer_type, reader_type)
        branches = [self.reader.resolve(each) for each in reader_type.branches]
        alike = [each for each in branches if each.kind == writer_type.kind]
        if number is not None:
            self.compare(writer_type, branches[number], path, some)
        elif writer_type.items is not None and alike:
            # The only branch of that kind, so the problem is inside.
            self.compare(writer_type, alike[0], path, some)
        else:
            self._no_branch(writer_type, branches, path, some)

    def _no_branch(
        self, writer_type: Type, branches: Sequence[Type], path: str, some: bool
    ) -> None:
        """Adds the problem that no branch matches, with the reason of one that nearly does."""
        alike = [each for each in branches if each.kind == writer_type.kind]
        reasons = [wrong[1] for each in alike if (wrong := self.mismatch(writer_type, each))]
        because = f" ({reasons[0]})" if reasons else ""
        label = writer_type.name or writer_type.kind
        allowed = ", ".join(each.name or each.kind for each in branches) or "nothing"
        message = f"{label} is not a branch of the reader's union of {allowed}{because}"
        self._add(path, "missing_union_branch", message, some)

    def _record(self, writer_type: Type, reader_type: Type, path: str, some: bool) -> None:
        pair = (writer_type.name, reader_type.name)
        if pair in self._seen and (some or not self._seen[pair]):
            return  # compared already, or being compared: the type is recursive
        self._seen[pair] = some
        fields = fields_of(writer_type, reader_type)
        for each in writer_type.fields:
            if each.name in fields:
                self.compare(each.type, fields[each.name].type, f"{path}.{each.name}", some)
        taken = {each.name for each in fields.values()}
        for each in reader_type.fields:
            if each.name not in taken and each.default is NO_DEFAULT:
                message = "the writer has no such field, and the reader's has no default"
                self._add(f"{path}.{each.name}", "missing_default", message, some)

    def _enum(self, writer_type: Type, reader_type: Type, path: str, some: bool) -> None:
        known = frozenset(reader_type.symbols)
        missing = [symbol for symbol in writer_type.symbols if symbol not in known]
        if missing and reader_type.default_symbol is None:
            shown = ", ".join(missing[:10])
            message = f"the reader's enum lacks {shown} and has no default"
            only_some = len(missing) < len(writer_type.symbols)
            self._add(path, "missing_enum_symbols", message, only_some)

    def _items(self, writer_type: Type, reader_type: Type, path: str, some: bool) -> None:
        assert writer_type.items is not None and reader_type.items is not None
        mark = "[]" if writer_type.kind == "array" else "{}"
        self.compare(writer_type.items, reader_type.items, f"{path}{mark}", some)

    _BY_RULE: Final[Mapping[str, Callable[[_Walk, Type, Type, str, bool], None]]] = by_kind(
        {"union": _union, "record": _record, "enum": _enum, "array map": _items},
        otherwise=_same,
    ) | {INTO_UNION: _into_union, MISMATCH: _mismatch}

    def _add(self, path: str, code: str, message: str, some: bool) -> None:
        problem = Problem(path, code, message, some)
        if problem not in self._known:
            self._known.add(problem)
            self.found.append(problem)
