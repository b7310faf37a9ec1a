"""Proposes a schema for records that were seen, which accepts every one of them, for a human to
review.

It guesses carefully. Whole numbers are `long`, also small ones, because ids grow; those that no
long holds are decimals, because a double would round them. Text is a date, a time, a timestamp or a
uuid only when every text at that place is one, and no digit of a fraction would be lost. It is an
enum only when that is asked for, and few symbols repeat over many records. Numbers in text stay
text. A field that is null or absent somewhere is nullable. Objects whose keys look like data are
maps (see map_keys.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from worker.core.json_kinds import json_kind
from worker.core.ports import InvalidRecord
from worker.schema.checks import Checks
from worker.schema.logical import FRACTION_DIGITS, MAX_PRECISION
from worker.schema.map_keys import is_map
from worker.schema.model import Policy, Schema, Type, by_kind, is_wide
from worker.schema.parse import UNREADABLE_KEY, parse_schema
from worker.schema.plan import compile_plan
from worker.schema.typed import Types

ENUM_RECORDS: Final = 50  # texts at a place before they may be an enum
ENUM_REPEATS: Final = 10  # how often each symbol must come on average
ENUM_SYMBOLS: Final = 30
MOST_PLACES: Final = 1_000
HUGE_DIGITS: Final = 20
"""The digits of 2**64 - 1, which ids may reach: the least precision of a proposed decimal."""
_MOST: Final = 10**MAX_PRECISION
_SYMBOL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_FRACTION: Final = re.compile(r"[.,](\d+)")

FORMATS: Final[dict[str, str]] = {
    "date": "int",
    **{f"timestamp-{unit}": "long" for unit in FRACTION_DIGITS},
    **{f"local-timestamp-{unit}": "long" for unit in FRACTION_DIGITS},
    "time-millis": "int",
    "time-micros": "long",
    "uuid": "string",
}
"""Logical type -> its underlying type, in the order in which they are tried: the first one that
every text is counts."""


def _accepts(logical: str, kind: str) -> Callable[[str], bool]:
    """Tells whether the engine itself reads a text as this logical type without losing digits."""
    document = {
        "type": "record",
        "name": "Seen",
        "fields": [{"name": "value", "type": {"type": kind, "logicalType": logical}}],
    }
    plan = compile_plan(parse_schema(msgspec.json.encode(document)))
    digits = FRACTION_DIGITS.get(logical.rpartition("-")[2], 0)

    def accepts(text: str) -> bool:
        fraction = _FRACTION.search(text)
        if (fraction is not None and len(fraction[1]) > digits) or text.isdigit():
            return False  # digits alone are an id rather than a date
        try:
            plan.one(msgspec.json.encode({"value": text}))
        except InvalidRecord:
            return False
        return True

    return accepts


_READERS: Final = {logical: _accepts(logical, kind) for logical, kind in FORMATS.items()}


HUGE: Final = "huge"
"""A whole number that no long holds, beside the kinds of JSON values (see `json_kind`)."""
_NUMBERS: Final = ("integer", HUGE, "number")


def _observed_kind(value: Any) -> str:
    kind = json_kind(value)
    if kind != "integer" or -(2**63) <= value < 2**63:
        return kind
    return HUGE if abs(value) < _MOST else "number"


@dataclass(slots=True)
class Seen:
    """What was seen at one place of the records.

    Attributes:
        counts: kind of a value -> how many of them.
        digits: the most digits of a HUGE number.
        formats: the logical types that every text was.
        symbols: text -> how often it came; None once the texts cannot be an enum.
        items: what was seen in arrays.
        fields: key -> what was seen under it in objects.
    """

    counts: Counter[str] = field(default_factory=Counter)
    digits: int = 0
    formats: list[str] = field(default_factory=lambda: list(FORMATS))
    symbols: dict[str, int] | None = field(default_factory=dict)
    items: Seen | None = None
    fields: dict[str, Seen] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many values were seen."""
        return self.counts.total()

    @property
    def nulls(self) -> int:
        return self.counts["null"]

    @property
    def objects(self) -> int:
        return self.counts["object"]

    def add(self, value: Any) -> None:
        """Adds one value."""
        kind = _observed_kind(value)
        self.counts[kind] += 1
        if kind == HUGE:
            self.digits = max(self.digits, len(str(abs(value))))
        elif kind == "string":
            self._text(value)
        elif kind == "array":
            self.items = self.items or Seen()
            for each in value:
                self.items.add(each)
        elif kind == "object":
            for name, each in value.items():
                self.fields.setdefault(name, Seen()).add(each)

    def _text(self, text: str) -> None:
        if self.formats:
            self.formats = [logical for logical in self.formats if _READERS[logical](text)]
        if self.symbols is not None:
            self.symbols[text] = self.symbols.get(text, 0) + 1
            if len(self.symbols) > ENUM_SYMBOLS or not _SYMBOL.fullmatch(text):
                self.symbols = None

    @property
    def kinds(self) -> Collection[str]:
        """The kinds of the values besides null; all numbers are of one kind."""
        found = {"number" if kind in _NUMBERS else kind for kind in self.counts}
        return found - {"null"}

    @property
    def shapes(self) -> dict[str, Seen]:
        """What was seen in objects, also in those of arrays."""
        return self.fields if self.items is None else self.items.shapes | self.fields

    @property
    def is_map(self) -> bool:
        """Whether the keys of objects are data."""
        return is_map(self.objects, self.fields)

    def merged(self) -> Seen:
        """What was seen under all keys together."""
        whole = Seen()
        for each in self.fields.values():
            whole.join(each)
        return whole

    def join(self, other: Seen) -> None:
        """Adds all that was seen at another place."""
        self.counts.update(other.counts)
        self.digits = max(self.digits, other.digits)
        self.formats = [logical for logical in self.formats if logical in other.formats]
        self.symbols = _joined_symbols(self.symbols, other.symbols)
        if other.items is not None:
            self.items = self.items or Seen()
            self.items.join(other.items)
        for name, each in other.fields.items():
            self.fields.setdefault(name, Seen()).join(each)


def _joined_symbols(one: dict[str, int] | None, other: dict[str, int] | None) -> Any:
    if one is None or other is None:
        return None
    joined = Counter(one)
    joined.update(other)
    return joined if len(joined) <= ENUM_SYMBOLS else None


class Inference:
    """Observes records and proposes a schema; the order of the records does not matter."""

    def __init__(self) -> None:
        self.seen = Seen()

    @property
    def records(self) -> int:
        return self.seen.objects

    def observe(self, record: Mapping[str, Any]) -> None:
        """One record, as decoded JSON."""
        self.seen.add(dict(record))

    def proposal(
        self, name: str = "Record", namespace: str = "", *, enums: bool = False
    ) -> dict[str, Any]:
        """The proposed schema as a JSON document.

        Args:
            enums: whether texts that repeat may become enums, which reject the next new text.
        """
        document = _Proposal(enums).record(self.seen, name)
        return {**document, "namespace": namespace} if namespace else document


class Surplus:
    """What records have and their schema lacks, also in nested places: `address.zip`,
    `lines[].note`, `labels{}.x`.

    Args:
        kept: they are what was kept of records (kept.py) instead of whole records.

    Attributes:
        undecided: places of unions of which what was kept does not say which branch it is of.
    """

    def __init__(self, schema: Schema, *, kept: bool = False) -> None:
        self._schema, self._kept = schema, kept
        policy = Policy()
        self._checks = Checks(schema, policy, Types(schema, policy))
        self._branch_of: dict[int, Callable[[tuple[str, ...]], int]] = {}
        self.undecided: set[str] = set()
        self.records = 0
        self.fields: dict[str, Seen] = {}
        self.examples: dict[str, Any] = {}
        self.homes: dict[str, tuple[str, str]] = {}
        """Place -> full name of the record that lacks it, and its key there."""

    def observe(self, record: Any) -> None:
        """One record, as decoded JSON."""
        self.records += 1
        self._look(self._schema.root, record, "")

    def found(self) -> list[tuple[str, Any, int, Any]]:
        """The place, the type that would fit, the number of values and one of the values, for each
        place in order."""
        return [
            (path, self._kind(path, seen), seen.count, self.examples[path])
            for path, seen in sorted(self.fields.items())
        ]

    def _kind(self, path: str, seen: Seen) -> Any:
        kind = _Proposal(enums=False).kind(seen, _capital(path))
        return _nullable(kind) if seen.nulls or seen.count < self.records else kind

    def _look(self, kind: Type, value: Any, path: str) -> None:
        kind = self._schema.resolve(kind)
        self._BY_KIND[kind.kind](self, kind, value, path)

    def _union(self, kind: Type, value: Any, path: str) -> None:
        if isinstance(value, dict | list) and (branch := self._branch(kind, value, path)):
            self._look(branch, value, path)

    def _branch(self, kind: Type, value: Any, path: str) -> Type | None:
        """The branch that an object or an array is of; None where there is none."""
        branches = [self._schema.resolve(branch) for branch in kind.branches]
        holders = [each for each in branches if each.kind in _HOLDERS]
        if isinstance(value, list):
            return next((each for each in holders if each.kind == "array"), None)
        if not is_wide(kind) or (self._kept and len(holders) == 1):
            return next(iter(holders), None)
        if self._kept:
            self.undecided.add(path.removesuffix("."))
            return None
        number = self._branches_of(kind)(tuple(value))
        return branches[number] if number >= 0 else None

    def _branches_of(self, union: Type) -> Callable[[tuple[str, ...]], int]:
        """The function keys of an object -> number of the branch, which is made once."""
        found = self._branch_of.get(id(union))
        if found is None:
            found = self._branch_of[id(union)] = self._checks.branch_of(union)
        return found

    def _array(self, kind: Type, value: Any, path: str) -> None:
        if self._kept and isinstance(value, dict):
            value = list(value.values())  # what was kept of an array is an object of its elements
        if kind.items is not None and isinstance(value, list):
            for each in value:
                self._look(kind.items, each, f"{path.removesuffix('.')}[].")

    def _map(self, kind: Type, value: Any, path: str) -> None:
        if kind.items is not None and isinstance(value, dict):
            for each in value.values():
                self._look(kind.items, each, f"{path.removesuffix('.')}{{}}.")

    def _record(self, kind: Type, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            return
        known = {each.json_name: each.type for each in kind.fields}
        for key, inner in value.items():
            if key in known:
                self._look(known[key], inner, f"{path}{key}.")
            elif len(self.fields) < MOST_PLACES or path + key in self.fields:
                self.fields.setdefault(path + key, Seen()).add(inner)
                self.examples[path + key] = inner
                self.homes[path + key] = (kind.name, key)

    _BY_KIND: Final[Mapping[str, Callable[[Surplus, Type, Any, str], None]]] = by_kind(
        {"union": _union, "array": _array, "map": _map, "record": _record},
        otherwise=lambda self, kind, value, path: None,
    )


_HOLDERS: Final = ("record", "map", "array")
"""Kinds of types that hold fields or items."""


def proposed_fields(surplus: Surplus, names: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Full name of a record -> the fields to add to it, all of which may be null or absent.

    Args:
        names: of types that there are already.
    """
    lacking: dict[str, Seen] = {}
    for path, seen in sorted(surplus.fields.items()):
        record, key = surplus.homes[path]
        lacking.setdefault(record, Seen()).fields.setdefault(key, Seen()).join(seen)
    proposal = _Proposal(enums=False)
    proposal.reserve(names)
    return {record: proposal.optional_fields(seen, record) for record, seen in lacking.items()}


class _Proposal:
    """Makes the JSON nodes of one proposed schema, in which each name stands once."""

    def __init__(self, enums: bool) -> None:
        self._enums = enums
        self._names: set[str] = set()

    def reserve(self, names: Iterable[str]) -> None:
        """No type gets one of these names."""
        self._names.update(names)

    def optional_fields(self, seen: Seen, record: str) -> list[dict[str, Any]]:
        """The fields of a record that there is already, which it may have or not."""
        document = self.record(seen, _capital(record.rpartition(".")[2]))
        return [
            {
                **each,
                "type": each["type"] if "default" in each else _nullable(each["type"]),
                "default": None,
                "doc": _doc(seen.fields[each.get("json_name", each["name"])], 0),
            }
            for each in document["fields"]
        ]

    def record(self, seen: Seen, name: str) -> dict[str, Any]:
        own = self._unused(_capital(name))
        document: dict[str, Any] = {"type": "record", "name": own, "fields": []}
        taken: set[str] = set()
        for key, each in sorted(seen.fields.items()):
            if UNREADABLE_KEY.search(key):
                left_out = "keys with quotes, backslashes or control characters were left out"
                document["doc"] = left_out
                continue
            legal = _legal(key)
            while legal in taken:
                legal += "_"
            taken.add(legal)
            kind = self.kind(each, f"{own}{_capital(legal)}")
            missing = seen.objects - each.count
            entry: dict[str, Any] = {"name": legal, "type": kind}
            if legal != key:
                entry["json_name"] = key
            if missing or each.nulls:
                entry |= {"type": _nullable(kind), "default": None}
            entry["doc"] = _doc(each, missing)
            document["fields"].append(entry)
        return document

    def kind(self, seen: Seen, name: str) -> Any:
        """The type that every value besides null has; a union when they have several."""
        makers = [
            make
            for kinds, make in self._BY_KINDS.items()
            if any(seen.counts[kind] for kind in kinds)
        ]
        if (shared := _one_or_many(seen)) is not None:
            others = [each for each in makers if each not in (_Proposal._array, _Proposal._object)]
            rest = [make(self, seen, name, False) for make in others]
            return [*rest, *self._one_or_many(seen, shared, name)]
        types = [make(self, seen, name, len(makers) == 1) for make in makers]
        return types[0] if len(types) == 1 else types or "string"

    def _one_or_many(self, seen: Seen, shared: Seen, name: str) -> tuple[Any, Any]:
        """A record, and an array of such records."""
        record = self.record(shared, name)
        items = _nullable(record["name"]) if seen.items and seen.items.nulls else record["name"]
        return record, {"type": "array", "items": items}

    def _boolean(self, seen: Seen, name: str, alone: bool) -> Any:
        return "boolean"

    def _number(self, seen: Seen, name: str, alone: bool) -> Any:
        if seen.counts["number"]:
            return "double"
        if not seen.counts[HUGE]:
            return "long"
        precision = max(seen.digits, HUGE_DIGITS)
        return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": 0}

    def _text(self, seen: Seen, name: str, alone: bool) -> Any:
        if not alone:
            return "string"
        if seen.formats:
            return {"type": FORMATS[seen.formats[0]], "logicalType": seen.formats[0]}
        symbols = seen.symbols or {}
        enough = max(ENUM_RECORDS, ENUM_REPEATS * len(symbols))
        if self._enums and symbols and seen.counts["string"] >= enough:
            return {"type": "enum", "name": self._unused(name), "symbols": sorted(symbols)}
        return "string"

    def _array(self, seen: Seen, name: str, alone: bool) -> Any:
        assert seen.items is not None
        return {"type": "array", "items": self._inner(seen.items, name)}

    def _object(self, seen: Seen, name: str, alone: bool) -> Any:
        if not seen.fields or seen.is_map:
            return {"type": "map", "values": self._inner(seen.merged(), name)}
        return self.record(seen, name)

    _BY_KINDS: Final[Mapping[tuple[str, ...], Callable[[_Proposal, Seen, str, bool], Any]]] = {
        ("boolean",): _boolean,
        _NUMBERS: _number,
        ("string",): _text,
        ("array",): _array,
        ("object",): _object,
    }
    """Kinds of values that share a type -> what makes it. It is told whether it is alone."""

    def _inner(self, seen: Seen, name: str) -> Any:
        kind = self.kind(seen, name)
        return _nullable(kind) if seen.nulls else kind

    def _unused(self, name: str) -> str:
        number, found = 1, name
        while found in self._names:
            number += 1
            found = f"{name}{number}"
        self._names.add(found)
        return found


def _one_or_many(seen: Seen) -> Seen | None:
    """What was seen in objects that stand alone or in arrays: they are of one type."""
    items = seen.items
    if not seen.objects or items is None or items.kinds != {"object"}:
        return None
    shared = Seen(Counter(object=seen.objects + items.objects))
    for part in (seen, items):
        for key, each in part.fields.items():
            shared.fields.setdefault(key, Seen()).join(each)
    return None if shared.is_map or not shared.fields else shared


def _nullable(kind: Any) -> list[Any]:
    return ["null", *(kind if isinstance(kind, list) else [kind])]


def _legal(name: str) -> str:
    """A name that Avro allows."""
    found = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return found if _SYMBOL.match(found) else f"_{found}"


def _capital(name: str) -> str:
    found = "".join(part[:1].upper() + part[1:] for part in _legal(name).split("_"))
    return found if _SYMBOL.match(found) else f"R{found}"


def _doc(seen: Seen, missing: int) -> str:
    notes = [f"{seen.count} seen"]
    if missing:
        notes.append(f"absent {missing} times")
    if seen.nulls:
        always = seen.nulls == seen.count
        notes.append("always null: the type is a guess" if always else f"null {seen.nulls} times")
    if seen.items is not None and not seen.items.count:
        notes.append("always empty: the type of its items is a guess")
    return ", ".join(notes)
