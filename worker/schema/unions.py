"""Which record of a union a JSON object is: the only one whose required fields are there; several are an error, never a guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from worker.core.model import FieldError
from worker.schema.model import NO_DEFAULT, Policy, Schema, Type
from worker.schema.typed import Types, record_struct
from worker.schema.values import INEXACT, Branch, Check, QuickCheck, found

REMEMBERED: Final = 1_000


class _Choice(NamedTuple):
    """The branch of an object with certain keys; `struct` checks it whole, and has the fields `names`. Or what is wrong with it."""

    number: int
    struct: Any = None
    names: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Record:
    """A record branch. `struct`: its msgspec type, when an object that has all `fields` makes its datum."""

    number: int
    name: str
    required: frozenset[str]
    fields: tuple[str, ...]
    struct: Any


class UnionCheck(QuickCheck):
    """The check of a union with several branches besides null; datums are `Branch`es."""

    def __init__(
        self,
        branches: Sequence[Type],
        checks: Sequence[Check],
        schema: Schema,
        policy: Policy,
        types: Types,
    ) -> None:
        self._branches, self._checks = branches, checks
        self._allowed = "one of " + ", ".join(branch.name or branch.kind for branch in branches)
        self._records = [
            _record(number, branch, schema, policy, types)
            for number, branch in enumerate(branches)
            if branch.kind == "record"
        ]
        self._map = next(
            (number for number, branch in enumerate(branches) if branch.kind == "map"), None
        )
        self._known: dict[tuple[str, ...], _Choice] = {}

    def quick(self, records: Sequence[Any], attribute: str) -> Sequence[int]:
        """See `QuickCheck`: objects whose keys were seen before and whose branch msgspec can check."""
        left = []
        known, read, convert, values = (
            self._known,
            attrgetter(attribute),
            msgspec.convert,
            msgspec.structs.astuple,
        )
        for index, record in enumerate(records):
            value = read(record)
            choice = known.get(tuple(value)) if type(value) is dict else None
            if choice is None or choice.struct is None:
                left.append(index)
                continue
            try:
                made = convert(value, choice.struct)
            except msgspec.ValidationError:
                left.append(index)  # the check says where
            else:  # not the object itself: it may have other fields too, and whole numbers where floats belong
                setattr(
                    record,
                    attribute,
                    Branch(choice.number, dict(zip(choice.names, values(made), strict=True))),
                )
        return left

    def __call__(self, value: Any, path: str, errors: list[FieldError]) -> Any:
        if isinstance(value, dict):
            choice = self._choose(tuple(value))
            if choice.problem:
                errors.append(
                    FieldError(
                        path,
                        choice.problem,
                        "an object that has the required fields of exactly one branch",
                    )
                )
                return None
            return Branch(choice.number, self._checks[choice.number](value, path, errors))
        what = found(value)
        for number in _candidates(self._branches, value):
            trial: list[FieldError] = []
            datum = self._checks[number](value, path, trial)
            if not trial:
                return Branch(number, datum)
            what = INEXACT if any(each.found is INEXACT for each in trial) else what
        errors.append(FieldError(path, what, self._allowed))
        return None

    def _choose(self, keys: tuple[str, ...]) -> _Choice:
        if (known := self._known.get(keys)) is not None:
            return known
        present = frozenset(keys)
        fits = [each for each in self._records if each.required <= present]
        if len(fits) == 1:
            whole = fits[0].struct is not None and present.issuperset(fits[0].fields)
            choice = _Choice(fits[0].number, fits[0].struct if whole else None, fits[0].fields)
        elif fits:
            choice = _Choice(
                -1, problem=f"ambiguous union: {', '.join(each.name for each in fits)} fit"
            )
        elif self._map is not None:
            choice = _Choice(self._map)
        else:
            wanted = "; ".join(
                f"{each.name} needs {', '.join(sorted(each.required))}" for each in self._records
            )
            choice = _Choice(
                -1, problem=f"an object that is no branch ({wanted or 'no branch is a record'})"
            )
        if len(self._known) < REMEMBERED and len(keys) < REMEMBERED:
            self._known[keys] = choice
        return choice


def tagged_union(branches: Sequence[Type], checks: Sequence[Check], *, wide: bool) -> Check:
    """The check of a union in the JSON encoding of Avro: null, or an object whose one key is the name of the branch."""
    numbers = {branch.name or branch.kind: number for number, branch in enumerate(branches)}
    allowed = (
        " or ".join("null" if name == "null" else f'{{"{name}": ...}}' for name in numbers)
        or "nothing"
    )
    null = numbers.pop("null", None)

    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        if value is None and null is not None:
            return Branch(null, None) if wide else None
        name = next(iter(value)) if isinstance(value, dict) and len(value) == 1 else None
        if name not in numbers:
            errors.append(
                FieldError(
                    path,
                    f"an object with {len(value)} keys"
                    if isinstance(value, dict)
                    else found(value),
                    allowed,
                )
            )
            return None
        datum = checks[numbers[name]](value[name], f"{path}.{name}", errors)
        return Branch(numbers[name], datum) if wide else datum

    return check


def _candidates(branches: Sequence[Type], value: Any) -> list[int]:
    """Branch numbers by JSON type, in the order in which they are tried."""
    if value is None:
        order: tuple[str, ...] = ("null",)
    elif isinstance(value, bool):
        order = ("boolean",)
    elif isinstance(value, int):
        order = ("int", "long", "double", "float", "bytes", "fixed")  # the last two for decimals
    elif isinstance(value, float):
        order = ("double", "float", "bytes", "fixed")
    elif isinstance(value, str):
        order = (
            "enum",
            "int",
            "long",
            *(
                ("string",)
                if any(branch.kind == "string" for branch in branches)
                else ("bytes", "fixed")
            ),
        )
    else:
        order = ("array",)
    return [
        number for kind in order for number, branch in enumerate(branches) if branch.kind == kind
    ]


def _record(number: int, branch: Type, schema: Schema, policy: Policy, known: Types) -> _Record:
    required = frozenset(
        each.json_name
        for each in branch.fields
        if each.default is NO_DEFAULT
        and not (
            policy.missing_fields == "fill"
            and any(inner.kind == "null" for inner in (each.type, *each.type.branches))
        )
    )
    types = [known.field(each) for each in branch.fields]
    struct = (
        record_struct(branch, types, policy)
        if all(
            inner is not None and _as_received(each.type, schema)
            for inner, each in zip(types, branch.fields, strict=True)
        )
        else None
    )
    if any(each.json_name != each.name for each in branch.fields):
        struct = None
    return _Record(
        number, branch.name, required, tuple(each.json_name for each in branch.fields), struct
    )


def _as_received(kind: Type, schema: Schema) -> bool:
    """What the type makes of a value is its datum: no nested records, which have other names there and may lack fields."""
    kind = schema.resolve(kind)
    parts = [*kind.branches, *([kind.items] if kind.items is not None else [])]
    return kind.kind != "record" and all(_as_received(part, schema) for part in parts)
