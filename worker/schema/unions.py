"""Which branch of a union a JSON value belongs to.

An object is the only record whose required fields it has; where several records fit, it is an error
and never a guess. In Avro's own JSON encoding the value names its branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from worker.core.json_kinds import describe_kind, json_kind
from worker.core.model import FieldError
from worker.schema.coerced_checks import null_texts
from worker.schema.model import NO_DEFAULT, Field, Policy, Schema, Type, is_nullable, null_branch
from worker.schema.spellings import ELSEWHERE, Place, Spellings
from worker.schema.typed import Types, record_struct
from worker.schema.values import Branch, Check, QuickCheck

REMEMBERED: Final = 1_000


class _Choice(NamedTuple):
    """The branch of objects that have certain keys, or the problem that they have.

    Attributes:
        number: of the branch; -1 when there is none.
        struct: a msgspec type that checks such an object as a whole, or None.
        names: the fields of that type.
    """

    number: int
    struct: Any = None
    names: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Record:
    """A branch that is a record.

    Attributes:
        struct: its msgspec type, when that makes the datum of an object that has all `fields`.
    """

    number: int
    name: str
    required: frozenset[str]
    fields: tuple[str, ...]
    struct: Any

    def choice(self, keys: frozenset[str]) -> _Choice:
        """The choice of this branch for objects that have these keys."""
        struct = self.struct if keys.issuperset(self.fields) else None
        return _Choice(self.number, struct, self.fields)


class UnionCheck(QuickCheck):
    """The check of a union with several branches besides null; its datums are `Branch`es."""

    def __init__(
        self,
        branches: Sequence[Type],
        checks: Sequence[Check],
        schema: Schema,
        policy: Policy,
        types: Types,
        place: Place = ELSEWHERE,
    ) -> None:
        self._checks, self._null = checks, null_branch(Type("union", branches=tuple(branches)))
        self._nulls = null_texts(branches, policy.spellings, place)
        self._allowed = "one of " + ", ".join(branch.name or branch.kind for branch in branches)
        self._candidates = _candidates(branches, policy.spellings)
        self._records = [
            _record(number, branch, schema, policy, types, place)
            for number, branch in enumerate(branches)
            if branch.kind == "record"
        ]
        self._map = next((n for n, branch in enumerate(branches) if branch.kind == "map"), None)
        self._known: dict[tuple[str, ...], _Choice] = {}

    def quick(self, records: Sequence[Any], attribute: str) -> Sequence[int]:
        """See `QuickCheck`: objects with keys that were seen before, of a branch that msgspec can
        check."""
        left = []
        known, read = self._known, attrgetter(attribute)
        convert, values = msgspec.convert, msgspec.structs.astuple
        for index, record in enumerate(records):
            value = read(record)
            choice = known.get(tuple(value)) if type(value) is dict else None
            if choice is None or choice.struct is None:
                left.append(index)
                continue
            try:
                made = convert(value, choice.struct)
            except msgspec.ValidationError:
                left.append(index)  # the check itself finds the place
            else:  # a new dict: the object may have other fields, and whole numbers for floats
                datum = dict(zip(choice.names, values(made), strict=True))
                setattr(record, attribute, Branch(choice.number, datum))
        return left

    def __call__(self, value: Any, path: str, errors: list[FieldError]) -> Any:
        if isinstance(value, dict):
            choice = self._choose(tuple(value))
            if choice.problem:
                allowed = "an object that has the required fields of exactly one branch"
                errors.append(FieldError(path, choice.problem, allowed))
                return None
            return Branch(choice.number, self._checks[choice.number](value, path, errors))
        if self._nulls and isinstance(value, str) and value in self._nulls:
            return Branch(self._null or 0, None)
        for number in self._candidates.get(json_kind(value), ()):
            trial: list[FieldError] = []
            datum = self._checks[number](value, path, trial)
            if not trial:
                return Branch(number, datum)
        errors.append(FieldError(path, describe_kind(value), self._allowed))
        return None

    def branch_of(self, keys: tuple[str, ...]) -> int:
        """The number of the branch of an object that has these keys; -1 when there is none."""
        return self._choose(keys).number

    def _choose(self, keys: tuple[str, ...]) -> _Choice:
        choice = self._known.get(keys)
        if choice is None:
            choice = self._choice(frozenset(keys))
            if len(self._known) < REMEMBERED and len(keys) < REMEMBERED:
                self._known[keys] = choice
        return choice

    def _choice(self, keys: frozenset[str]) -> _Choice:
        fits = [each for each in self._records if each.required <= keys]
        if len(fits) == 1:
            return fits[0].choice(keys)
        if fits:
            names = ", ".join(each.name for each in fits)
            return _Choice(-1, problem=f"ambiguous union: {names} fit")
        if self._map is not None:
            return _Choice(self._map)
        wanted = [f"{each.name} needs {', '.join(sorted(each.required))}" for each in self._records]
        reason = "; ".join(wanted) or "no branch is a record"
        return _Choice(-1, problem=f"an object that fits no branch ({reason})")


def tagged_union(branches: Sequence[Type], checks: Sequence[Check], *, wide: bool) -> Check:
    """The check of a union in Avro's own JSON encoding: null, or an object whose one key is the
    name of the branch (specification, "JSON Encoding").

    Args:
        wide: the union has several branches besides null, so that its datums are `Branch`es.
    """
    numbers = {branch.name or branch.kind: number for number, branch in enumerate(branches)}
    forms = ["null" if name == "null" else f'{{"{name}": ...}}' for name in numbers]
    allowed = " or ".join(forms) or "nothing"
    null = numbers.pop("null", None)

    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        if value is None and null is not None:
            return Branch(null, None) if wide else None
        is_object = isinstance(value, dict)
        name = next(iter(value)) if is_object and len(value) == 1 else None
        if name not in numbers:
            found = f"an object with {len(value)} keys" if is_object else describe_kind(value)
            errors.append(FieldError(path, found, allowed))
            return None
        datum = checks[numbers[name]](value[name], f"{path}.{name}", errors)
        return Branch(numbers[name], datum) if wide else datum

    return check


_TRIED: Final = {
    "null": ("null",),
    "boolean": ("boolean",),
    "integer": ("int", "long", "double", "float", "bytes", "fixed"),  # the last two for decimals
    "number": ("double", "float", "bytes", "fixed"),
    "string": ("enum", "int", "long", "string"),
    "array": ("array",),
}
_TRIED_WITHOUT_STRING: Final = _TRIED | {"string": ("enum", "int", "long", "bytes", "fixed")}
_NUMBERS_IN_TEXT: Final = ("int", "long", "double", "float")


def _candidates(branches: Sequence[Type], spellings: Spellings) -> dict[str, list[int]]:
    """Kind of a JSON value -> the numbers of the branches that it may be, in the order in which
    they are tried. Objects are missing: their keys decide."""
    kinds = [branch.kind for branch in branches]
    tried = _TRIED if "string" in kinds else _TRIED_WITHOUT_STRING | _coerced(spellings)
    return {
        json: [number for each in order for number, kind in enumerate(kinds) if kind == each]
        for json, order in tried.items()
    }


def _coerced(spellings: Spellings) -> dict[str, tuple[str, ...]]:
    """What is tried besides, where text may be a number or a flag. Where it may be text, it is.

    Flags come last, so that `0` and `1` are flags only where `2` is no number.
    """
    numbers = () if spellings.numbers is None else _NUMBERS_IN_TEXT
    flags = ("boolean",) if spellings.booleans else ()
    texts = dict.fromkeys(("enum", "int", "long", *numbers, "bytes", "fixed", *flags))
    return {"string": tuple(texts), "integer": (*_TRIED["integer"], *flags)}


def _record(
    number: int, branch: Type, schema: Schema, policy: Policy, known: Types, place: Place
) -> _Record:
    types = [known.field(each, place) for each in branch.fields]
    as_received = all(
        inner is not None and each.json_name == each.name and _as_received(each.type, schema)
        for inner, each in zip(types, branch.fields, strict=True)
    )
    return _Record(
        number=number,
        name=branch.name,
        required=frozenset(each.json_name for each in branch.fields if _is_required(each, policy)),
        fields=tuple(each.json_name for each in branch.fields),
        struct=record_struct(branch, types, policy) if as_received else None,
    )


def _is_required(each: Field, policy: Policy) -> bool:
    fills = policy.missing_fields == "fill" and is_nullable(each.type)
    return each.default is NO_DEFAULT and not fills


def _as_received(kind: Type, schema: Schema) -> bool:
    """Whether what msgspec makes of a value is its datum. Not so for nested records, which have
    other names there and may lack fields."""
    kind = schema.resolve(kind)
    return kind.kind != "record" and all(_as_received(part, schema) for part in kind.parts)
