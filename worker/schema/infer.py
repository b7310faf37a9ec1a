"""A schema for records that were seen: a proposal that accepts every one of them, for a human to review. Pure.

What is guessed is careful. Whole numbers are `long`, also small ones: ids grow; those that no long holds are decimals, because a double would
round them. Text is a date, a time, a timestamp or a uuid only when every text at that place is one, and no digit of a fraction would be lost.
It is an enum only when few symbols repeat over many records. Numbers in text stay text. A field that is null or absent somewhere is nullable.
Objects whose keys look like data (many different ones, each rare) are maps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from worker.core.ports import InvalidRecord
from worker.schema.logical import MAX_PRECISION
from worker.schema.model import Schema, Type
from worker.schema.parse import UNREADABLE_KEY, parse_schema
from worker.schema.plan import compile_plan

ENUM_RECORDS: Final = 50  # texts at a place before they may be an enum
ENUM_REPEATS: Final = 10  # and how often each symbol comes on average
ENUM_SYMBOLS: Final = 30
MOST_PLACES: Final = 1_000
HUGE_DIGITS: Final = 20  # of 2**64 - 1, which ids may reach; a decimal of more when more were seen
MAP_KEYS: Final = 20  # different keys before an object may be a map
MAP_RARE: Final = 0.2  # share of the objects that a usual key of a map is in
_MOST: Final = 10**MAX_PRECISION
_SYMBOL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_FRACTION: Final = re.compile(r"[.](\d+)")
_DIGITS: Final = {"millis": 3, "micros": 6, "nanos": 9}

# in the order in which they are tried; the first that every text is counts
FORMATS: Final[dict[str, str]] = {
    "date": "int",
    **{f"timestamp-{unit}": "long" for unit in _DIGITS},
    **{f"local-timestamp-{unit}": "long" for unit in _DIGITS},
    "time-millis": "int",
    "time-micros": "long",
    "uuid": "string",
}


def _accepts(logical: str, kind: str) -> Callable[[str], bool]:
    """Whether the engine itself reads a text as this logical type, without losing digits."""
    document = {
        "type": "record",
        "name": "Seen",
        "fields": [{"name": "value", "type": {"type": kind, "logicalType": logical}}],
    }
    plan = compile_plan(parse_schema(msgspec.json.encode(document)))
    digits = _DIGITS.get(logical.rpartition("-")[2], 0)

    def accepts(text: str) -> bool:
        fraction = _FRACTION.search(text)
        if fraction is not None and len(fraction[1]) > digits:
            return False
        try:
            plan.one(msgspec.json.encode({"value": text}))
        except InvalidRecord:
            return False
        return True

    return accepts


_READERS: Final = {logical: _accepts(logical, kind) for logical, kind in FORMATS.items()}


@dataclass(slots=True)
class Seen:
    """What was seen at one place of the records. `huge`: the most digits of a whole number that no long holds."""

    count: int = 0
    nulls: int = 0
    booleans: int = 0
    longs: int = 0
    doubles: int = 0
    huge: int = 0
    texts: int = 0
    formats: list[str] = field(default_factory=lambda: list(FORMATS))
    symbols: dict[str, int] | None = field(default_factory=dict)
    items: Seen | None = None
    objects: int = 0
    fields: dict[str, Seen] = field(default_factory=dict)

    def add(self, value: Any) -> None:
        """One more value."""
        self.count += 1
        if value is None:
            self.nulls += 1
        elif isinstance(value, bool):
            self.booleans += 1
        elif isinstance(value, int) and -(2**63) <= value < 2**63:
            self.longs += 1
        elif isinstance(value, int) and abs(value) < _MOST:
            self.huge = max(self.huge, len(str(abs(value))))
        elif isinstance(value, int | float):
            self.doubles += 1
        elif isinstance(value, str):
            self._text(value)
        elif isinstance(value, list):
            self.items = self.items or Seen()
            for each in value:
                self.items.add(each)
        else:
            self.objects += 1
            for name, each in value.items():
                self.fields.setdefault(name, Seen()).add(each)

    def _text(self, text: str) -> None:
        self.texts += 1
        if self.formats:
            self.formats = [logical for logical in self.formats if _READERS[logical](text)]
        if self.symbols is not None:
            self.symbols[text] = self.symbols.get(text, 0) + 1
            if len(self.symbols) > ENUM_SYMBOLS or not _SYMBOL.fullmatch(text):
                self.symbols = None

    @property
    def is_map(self) -> bool:
        """Keys that are data: many, and each in few of the objects."""
        rare = sum(each.count <= MAP_RARE * self.objects for each in self.fields.values())
        return len(self.fields) >= MAP_KEYS and rare >= 0.9 * len(self.fields)

    def merged(self) -> Seen:
        """All values of a map together."""
        whole = Seen()
        for each in self.fields.values():
            whole.join(each)
        return whole

    def join(self, other: Seen) -> None:
        """What was seen there was seen here, too."""
        for name in ("count", "nulls", "booleans", "longs", "doubles", "texts", "objects"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.huge = max(self.huge, other.huge)
        self.formats = [logical for logical in self.formats if logical in other.formats]
        if self.symbols is None or other.symbols is None:
            self.symbols = None
        else:
            for text, times in other.symbols.items():
                self.symbols[text] = self.symbols.get(text, 0) + times
            self.symbols = self.symbols if len(self.symbols) <= ENUM_SYMBOLS else None
        if other.items is not None:
            self.items = self.items or Seen()
            self.items.join(other.items)
        for name, each in other.fields.items():
            self.fields.setdefault(name, Seen()).join(each)


class Inference:
    """Observes records and proposes a schema. The same records give the same proposal, in whatever order they come."""

    def __init__(self) -> None:
        self.seen = Seen()

    @property
    def records(self) -> int:
        return self.seen.objects

    def observe(self, record: Mapping[str, Any]) -> None:
        """One record, as decoded JSON."""
        self.seen.add(dict(record))

    def proposal(
        self, name: str = "Record", namespace: str = "", *, enums: bool = True
    ) -> dict[str, Any]:
        """The schema, as its JSON document."""
        document = _Proposal(enums).record(self.seen, name)
        return {**document, "namespace": namespace} if namespace else document


class Surplus:
    """What records have and their schema lacks, nested places too: `address.zip`, `lines[].note`, `labels{}.x`."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.records = 0
        self.fields: dict[str, Seen] = {}
        self.examples: dict[str, Any] = {}

    def observe(self, record: Any) -> None:
        """One record, as decoded JSON."""
        self.records += 1
        self._look(self._schema.root, record, "")

    def found(self) -> list[tuple[str, Any, int, Any]]:
        """(place, type that would fit, how many values, one of them), by place."""
        return [
            (path, self._kind(path, seen), seen.count, self.examples[path])
            for path, seen in sorted(self.fields.items())
        ]

    def _kind(self, path: str, seen: Seen) -> Any:
        kind = _Proposal(enums=True).kind(seen, _capital(path))
        return _nullable(kind) if seen.nulls or seen.count < self.records else kind

    def _look(self, kind: Type, value: Any, path: str) -> None:
        kind = self._schema.resolve(kind)
        if kind.kind == "union":
            shape = "record" if isinstance(value, dict) else "array"
            for branch in map(self._schema.resolve, kind.branches):
                if branch.kind == shape or (branch.kind == "map" and shape == "record"):
                    self._look(branch, value, path)
                    break
        elif kind.kind == "record" and isinstance(value, dict):
            known = {each.json_name: each.type for each in kind.fields}
            for key, inner in value.items():
                if key in known:
                    self._look(known[key], inner, f"{path}{key}.")
                elif len(self.fields) < MOST_PLACES or path + key in self.fields:
                    self.fields.setdefault(path + key, Seen()).add(inner)
                    self.examples[path + key] = inner
        elif kind.items is not None and isinstance(value, list if kind.kind == "array" else dict):
            mark = "[]" if kind.kind == "array" else "{}"
            for each in value if isinstance(value, list) else value.values():
                self._look(kind.items, each, f"{path.removesuffix('.')}{mark}.")


class _Proposal:
    def __init__(self, enums: bool) -> None:
        self._enums = enums
        self._names: set[str] = set()

    def record(self, seen: Seen, name: str) -> dict[str, Any]:
        own = self._unused(_capital(name))
        document: dict[str, Any] = {"type": "record", "name": own, "fields": []}
        taken: set[str] = set()
        for key, each in sorted(seen.fields.items()):
            if UNREADABLE_KEY.search(key):
                document["doc"] = (
                    "keys with quotes, backslashes or control characters were left out"
                )
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
        """A type that every value but null has; the union of several."""
        kinds = list(self._kinds(seen, name))
        return kinds[0] if len(kinds) == 1 else kinds or "string"

    def _kinds(self, seen: Seen, name: str) -> Iterator[Any]:
        several = (
            sum(
                map(
                    bool,
                    (
                        seen.booleans,
                        seen.longs + seen.huge + seen.doubles,
                        seen.texts,
                        seen.items,
                        seen.objects,
                    ),
                )
            )
            > 1
        )
        if seen.booleans:
            yield "boolean"
        if seen.huge and not seen.doubles:
            yield {
                "type": "bytes",
                "logicalType": "decimal",
                "precision": max(seen.huge, HUGE_DIGITS),
                "scale": 0,
            }
        elif seen.longs or seen.huge or seen.doubles:
            yield "double" if seen.doubles else "long"
        if seen.texts:
            yield "string" if several else self._text(seen, name)
        if seen.items is not None:
            yield {"type": "array", "items": self._inner(seen.items, name)}
        if seen.objects:
            yield (
                {"type": "map", "values": self._inner(seen.merged(), name)}
                if not seen.fields or seen.is_map
                else self.record(seen, name)
            )

    def _inner(self, seen: Seen, name: str) -> Any:
        kind = self.kind(seen, name)
        return _nullable(kind) if seen.nulls else kind

    def _text(self, seen: Seen, name: str) -> Any:
        if seen.formats:
            return {"type": FORMATS[seen.formats[0]], "logicalType": seen.formats[0]}
        if (
            self._enums
            and seen.symbols
            and seen.texts >= max(ENUM_RECORDS, ENUM_REPEATS * len(seen.symbols))
        ):
            return {"type": "enum", "name": self._unused(name), "symbols": sorted(seen.symbols)}
        return "string"

    def _unused(self, name: str) -> str:
        number, found = 1, name
        while found in self._names:
            number += 1
            found = f"{name}{number}"
        self._names.add(found)
        return found


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
    said = [f"{seen.count} seen"]
    if missing:
        said.append(f"absent {missing} times")
    if seen.nulls:
        said.append(
            f"null {seen.nulls} times"
            if seen.nulls < seen.count
            else "always null: the type is a guess"
        )
    if seen.items is not None and not seen.items.count:
        said.append("always empty: the type of its items is a guess")
    return ", ".join(said)
