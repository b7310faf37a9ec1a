"""Random schemas, JSON values that fit them, values that mostly do not, and later versions of a
schema."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

Draw = Any
LATIN1 = st.characters(max_codepoint=255)
TEXT = st.text(max_size=12)

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.sampled_from(
        [
            "2024-02-30",
            "2024-01-01T00:00:00Z",
            "12:00:00",
            "1e5",
            "NaN",
            "P1D",
            "AAAA",
            "00000000-0000-0000-0000-000000000000",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["f0", "f1", "g", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)

PRIMITIVES: dict[str, Any] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1) | st.integers(-200, 200),
    "long": st.integers(-(2**63), 2**63 - 1) | st.integers(-20_000, 20_000),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "double": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
    "string": TEXT,
    "bytes": st.text(LATIN1, max_size=8),
}


def _decimal(precision: int, scale: int) -> Any:
    return st.integers(-(10**precision) + 1, 10**precision - 1).map(
        lambda number: f"{number}e{-scale}"
    )


def _stamp(zone: str) -> Any:
    written = st.sampled_from(["iso", "basic", "comma", "minutes", "mail"])
    return st.builds(lambda at, how: _WRITTEN[how](at) + zone, st.datetimes(), written)


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WRITTEN: dict[str, Any] = {
    "iso": lambda at: at.isoformat(),
    "basic": lambda at: f"{at.year:04}{at:%m%dT%H%M%S}",
    "comma": lambda at: at.isoformat(" ", "microseconds").replace(".", ","),
    "minutes": lambda at: at.isoformat("T", "minutes"),
    "mail": lambda at: f"{at.day:02} {_MONTHS[at.month - 1]} {at.year:04} {at:%H:%M:%S}",
}
EDGES = st.sampled_from(
    [
        sign * (edge + near)
        for edge in (719_162, 2_932_896, 86_400_000, 253_402_300_800_000, 62_135_596_800_000)
        for near in (-1, 0, 1)
        for sign in (1, -1)
    ]
)


LOGICAL: list[tuple[dict[str, Any], Any]] = [
    (
        {"type": "int", "logicalType": "date"},
        PRIMITIVES["int"] | st.dates().map(lambda day: day.isoformat()),
    ),
    (
        {"type": "int", "logicalType": "time-millis"},
        PRIMITIVES["int"] | st.times().map(lambda at: at.isoformat()),
    ),
    (
        {"type": "long", "logicalType": "time-micros"},
        PRIMITIVES["long"] | st.times().map(lambda at: at.isoformat()),
    ),
    (
        {"type": "long", "logicalType": "timestamp-millis"},
        PRIMITIVES["long"] | EDGES | _stamp(" GMT"),
    ),
    ({"type": "long", "logicalType": "timestamp-micros"}, PRIMITIVES["long"] | _stamp(" +0200")),
    (
        {"type": "long", "logicalType": "timestamp-nanos"},
        PRIMITIVES["long"] | st.just("2024-02-29T12:00:00.123456789Z"),
    ),
    ({"type": "long", "logicalType": "local-timestamp-micros"}, PRIMITIVES["long"] | _stamp("")),
    ({"type": "long", "logicalType": "local-timestamp-nanos"}, PRIMITIVES["long"]),
    ({"type": "string", "logicalType": "uuid"}, st.uuids().map(str)),
    ({"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}, _decimal(5, 2)),
    ({"type": "bytes", "logicalType": "decimal", "precision": 40, "scale": 11}, _decimal(40, 11)),
    ({"type": "bytes", "logicalType": "big-decimal"}, _decimal(30, 4) | _decimal(3, -5)),
    ({"type": "long", "logicalType": "nonsense"}, PRIMITIVES["long"]),
    ({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 3}, PRIMITIVES["bytes"]),
]


class Names:
    """Fresh names of one schema, and the records that stand around."""

    def __init__(self) -> None:
        self.count = 0

    def fresh(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"


@st.composite
def types(draw: Draw, names: Names, depth: int = 0) -> tuple[Any, Any]:
    """(schema document, strategy of JSON values)."""
    kinds = ["primitive", "primitive", "logical", "enum", "fixed", "nullable"]
    if depth < 3:
        kinds += ["array", "map", "record", "union", "list"]
    kind = draw(st.sampled_from(kinds))
    if kind == "primitive":
        name = draw(st.sampled_from(sorted(PRIMITIVES)))
        return draw(st.sampled_from([name, {"type": name}])), PRIMITIVES[name]
    if kind == "logical":
        return draw(st.sampled_from(LOGICAL))
    if kind == "enum":
        symbols = draw(st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=4, unique=True))
        return {"type": "enum", "name": names.fresh("E"), "symbols": symbols}, st.sampled_from(
            symbols
        )
    if kind == "fixed":
        return draw(fixed(names))
    if kind == "nullable":
        inner, values = draw(
            types(names, depth + 1).filter(
                lambda found: not isinstance(found[0], list) and name_of(found[0]) != "null"
            )
        )
        return draw(st.permutations(["null", inner])), st.none() | values
    if kind == "union":
        return draw(unions(names, depth))
    if kind == "record":
        return draw(records(names, depth))
    if kind == "list":
        name = names.fresh("L")
        inner, values = draw(types(names, 2))
        node = {
            "type": "record",
            "name": name,
            "fields": [
                {"name": "value", "type": inner},
                {"name": "next", "type": ["null", name], "default": None},
            ],
        }
        linked = st.lists(values, min_size=1, max_size=4).map(_linked)
        return node, linked
    inner, values = draw(types(names, depth + 1))
    if kind == "array":
        return {"type": "array", "items": inner}, st.lists(values, max_size=3)
    return {"type": "map", "values": inner}, st.dictionaries(TEXT, values, max_size=3)


def _linked(values: list[Any]) -> Any:
    found = None
    for value in values:
        found = {"value": value, "next": found}
    return found


def name_of(node: Any) -> str:
    """What may stand once in a union."""
    if isinstance(node, str):
        return node
    return node.get("name") or name_of(node["type"])


@st.composite
def fixed(draw: Draw, names: Names) -> tuple[Any, Any]:
    kind = draw(st.sampled_from(["plain", "uuid", "duration", "decimal"]))
    node = {"type": "fixed", "name": names.fresh("F")}
    if kind == "uuid":
        return {**node, "size": 16, "logicalType": "uuid"}, st.uuids().map(str)
    if kind == "duration":
        parts = st.integers(0, 10_000)
        return {**node, "size": 12, "logicalType": "duration"}, st.builds(
            lambda m, d, s: f"P{m}M{d}DT{s}.5S", parts, parts, parts
        )
    if kind == "decimal":
        return {**node, "size": 4, "logicalType": "decimal", "precision": 9, "scale": 3}, _decimal(
            9, 3
        )
    size = draw(st.integers(0, 5))
    return {**node, "size": size}, st.text(LATIN1, min_size=size, max_size=size)


@st.composite
def unions(draw: Draw, names: Names, depth: int) -> tuple[Any, Any]:
    branches, values, seen = [], [], set()
    for _ in range(draw(st.integers(1, 4))):
        inner, inner_values = draw(
            types(names, depth + 1).filter(lambda found: not isinstance(found[0], list))
        )
        if name_of(inner) not in seen:
            seen.add(name_of(inner))
            branches.append(inner)
            values.append(inner_values)
    return branches, st.one_of(values)


@st.composite
def records(draw: Draw, names: Names, depth: int = 0) -> tuple[Any, Any]:
    fields, values = [], {}
    name = names.fresh("R")
    for number in range(draw(st.integers(0 if depth else 1, 4))):
        inner, inner_values = draw(types(names, depth + 1))
        fields.append({"name": f"f{number}", "type": inner})
        values[f"f{number}"] = inner_values
    return {"type": "record", "name": name, "fields": fields}, st.fixed_dictionaries(values)


@st.composite
def schemas(draw: Draw) -> tuple[Any, Any]:
    """(record schema, strategy of JSON objects)."""
    node, values = draw(records(Names()))
    return node, values


# -- later versions -------------------------------------------------------------------------------

WIDER = {
    "int": ["long", "float", "double"],
    "long": ["float", "double"],
    "float": ["double"],
    "string": ["bytes"],
    "bytes": ["string"],
}


@st.composite
def evolved(draw: Draw, node: Any, names: Names | None = None) -> Any:
    """A reader's version of a schema document: mostly readable, sometimes not. Names stay as they
    are, so that references hold.

    `names`: those of the versions before, for a third one.
    """
    return draw(_evolve(json.loads(json.dumps(node)), names or Names()))


@st.composite
def _evolve(draw: Draw, node: Any, names: Names) -> Any:
    chance = draw(st.integers(0, 9))
    if isinstance(node, list):
        branches = [draw(_evolve(each, names)) for each in node]
        branches = [each for each in branches if not isinstance(each, list)] or node
        unique = list({name_of(each): each for each in branches}.values())
        if chance == 0:
            unique = unique[1:] or unique
        return (
            draw(st.permutations(unique))
            if not any(isinstance(each, dict) for each in unique)
            else unique
        )
    if isinstance(node, str) and node in WIDER and chance < 3:
        return draw(st.sampled_from(WIDER[node]))
    if isinstance(node, str) and chance == 4 and node in WIDER:
        return ["null", node] if draw(st.booleans()) else [node, "null", "boolean"]
    if not isinstance(node, dict):
        return node
    if node["type"] == "record":
        return draw(_evolve_record(node, names))
    if node["type"] == "enum" and chance < 5:
        symbols = draw(st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=4, unique=True))
        rest = {key: part for key, part in node.items() if key != "default"}
        return {
            **rest,
            "symbols": symbols,
            **({"default": symbols[0]} if draw(st.booleans()) else {}),
        }
    if node["type"] == "array":
        return {**node, "items": draw(_evolve(node["items"], names))}
    if node["type"] == "map":
        return {**node, "values": draw(_evolve(node["values"], names))}
    return node


DEFAULTS: list[tuple[Any, Any]] = [
    ("int", 7),
    ("string", "x"),
    (["null", "long"], None),
    (["long", "null"], 3),
    (["null", "int", "string"], "text"),
    ("bytes", "\u00ff"),
    ({"type": "array", "items": "int"}, [1, 2]),
    ({"type": "map", "values": ["null", "string"]}, {"a": "b", "c": None}),
    ({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}, "\u0001\u0002"),
    ({"type": "long", "logicalType": "timestamp-micros"}, 5),
    ("double", 1),
]


@st.composite
def _evolve_record(draw: Draw, node: Any, names: Names) -> Any:
    fields = []
    for each in node["fields"]:
        defines = isinstance(each["type"], dict | list)
        chance = draw(st.integers(0, 11))
        if chance == 0 and not defines:
            continue
        field = {**each, "type": draw(_evolve(each["type"], names))}
        field.pop("default", None)
        if chance in (1, 2):
            field = {**field, "name": names.fresh("renamed"), "aliases": [each["name"]]}
        fields.append(field)
    if not any(isinstance(each["type"], dict | list) for each in fields):
        fields = list(draw(st.permutations(fields)))
    for _ in range(draw(st.integers(0, 2))):
        kind, value = draw(st.sampled_from(DEFAULTS))
        fields.append({"name": names.fresh("added"), "type": kind, "default": value})
    if draw(st.integers(0, 19)) == 0:
        fields.append({"name": names.fresh("needed"), "type": "int"})
    return {**node, "fields": fields}
