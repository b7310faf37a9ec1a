"""Avro, slowly and obviously: JSON -> datum -> bytes -> datum, and resolution, straight from the
specification and the rules for JSON.

It works on schema *documents* and shares no code with the engine but `Branch`. Each question is one
recursive function.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
import uuid
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any

from worker.schema.values import Branch

PRIMITIVES = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
ABSENT = object()


class Bad(Exception):
    """Not what the schema says."""


class Schema:
    """A schema document with its names looked up: `at(node)` is the definition that a node refers
    to, with `full` as its name."""

    def __init__(self, document: Any) -> None:
        self.names: dict[str, Any] = {}
        self.root = self._resolved(document, "")

    def _resolved(self, node: Any, namespace: str) -> Any:
        if isinstance(node, str):
            if node in PRIMITIVES:
                return {"type": node}
            full = node if "." in node or not namespace else f"{namespace}.{node}"
            return {"type": "ref", "full": full if full in self.names else node}
        if isinstance(node, list):
            return {"type": "union", "branches": [self._resolved(each, namespace) for each in node]}
        kind = node["type"]
        if isinstance(kind, dict | list):
            return self._resolved(kind, namespace)
        if kind == "array":
            return {"type": "array", "items": self._resolved(node["items"], namespace)}
        if kind == "map":
            return {"type": "map", "items": self._resolved(node["values"], namespace)}
        if kind in ("record", "error", "enum", "fixed"):
            name = node["name"]
            inner = node.get("namespace", namespace)
            full = name if "." in name or not inner else f"{inner}.{name}"
            space = full.rpartition(".")[0]
            aliases = [
                alias if "." in alias or not space else f"{space}.{alias}"
                for alias in node.get("aliases", [])
            ]
            made = {
                **node,
                "type": "record" if kind == "error" else kind,
                "full": full,
                "aliases": aliases,
            }
            self.names[full] = made
            if made["type"] == "record":
                made["fields"] = [
                    {**each, "type": self._resolved(each["type"], space)} for each in node["fields"]
                ]
            return {"type": "ref", "full": full}
        return dict(node) if kind in PRIMITIVES else self._resolved(kind, namespace)

    def at(self, node: Any) -> Any:
        return self.names[node["full"]] if node["type"] == "ref" else node


def logical(node: Any) -> str | None:
    """The logical type, if it is valid there."""
    name, kind = node.get("logicalType"), node["type"]
    if name == "decimal" and kind in ("bytes", "fixed"):
        precision, scale = node.get("precision"), node.get("scale", 0)
        if (
            type(precision) is not int
            or type(scale) is not int
            or precision < 1
            or not 0 <= scale <= precision
        ):
            return None
        return name if kind == "bytes" or 10**precision <= 2 ** (8 * node["size"] - 1) else None
    fits = {
        "date": "int",
        "time-millis": "int",
        "time-micros": "long",
        "big-decimal": "bytes",
        **{
            f"{local}timestamp-{unit}": "long"
            for local in ("", "local-")
            for unit in ("millis", "micros", "nanos")
        },
    }
    if fits.get(name) == kind or (name == "uuid" and kind == "string"):
        return name
    return (
        name
        if kind == "fixed" and (name, node["size"]) in (("uuid", 16), ("duration", 12))
        else None
    )


# -- JSON -> datum --------------------------------------------------------------------------------


def wide(node: Any) -> bool:
    return sum(branch["type"] != "null" for branch in node["branches"]) > 1


def from_json(
    schema: Schema,
    node: Any,
    value: Any,
    bytes_as: str = "latin1",
    unknown: str = "drop",
    missing: str = "fill",
) -> Any:
    """The datum. Raises Bad."""

    def go(node: Any, value: Any) -> Any:
        node = schema.at(node)
        kind, of = node["type"], logical(node)
        if of is not None:
            return logical_from_json(node, of, value)
        if kind == "null" and value is None:
            return None
        if kind == "boolean" and isinstance(value, bool):
            return value
        if (
            kind in ("int", "long")
            and type(value) is int
            and -(2 ** (31 if kind == "int" else 63)) <= value < 2 ** (31 if kind == "int" else 63)
        ):
            return value
        if kind in ("float", "double") and type(value) in (int, float):
            limit = (
                struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]
                if kind == "float"
                else 1.7976931348623157e308
            )
            if -limit <= value <= limit:
                return float(value)
        if kind == "string" and isinstance(value, str):
            return value
        if kind in ("bytes", "fixed") and isinstance(value, str):
            try:
                data = (
                    value.encode("latin-1")
                    if bytes_as == "latin1"
                    else base64.b64decode(value, validate=True)
                )
            except (UnicodeEncodeError, binascii.Error, ValueError):
                raise Bad from None
            if kind == "bytes" or len(data) == node["size"]:
                return data
        if kind == "enum" and isinstance(value, str) and value in node["symbols"]:
            return value
        if kind == "array" and isinstance(value, list):
            return [go(node["items"], each) for each in value]
        if kind == "map" and isinstance(value, dict):
            return {key: go(node["items"], each) for key, each in value.items()}
        if kind == "record" and isinstance(value, dict):
            return record(node, value)
        if kind == "union":
            return union(node, value)
        raise Bad(f"{value!r} is no {kind}")

    def record(node: Any, value: dict[str, Any]) -> Any:
        names = {each.get("json_name", each["name"]) for each in node["fields"]}
        if unknown == "reject" and value.keys() - names:
            raise Bad("unknown fields")
        out = {}
        for each in node["fields"]:
            name = each.get("json_name", each["name"])
            if name in value:
                out[each["name"]] = go(each["type"], value[name])
            elif "default" in each:
                out[each["name"]] = default(schema, each["type"], each["default"])
            elif missing == "fill" and nullable(each["type"]):
                out[each["name"]] = null_of(each["type"])
            else:
                raise Bad(f"{name} is missing")
        return out

    def nullable(node: Any) -> bool:
        return node["type"] == "null" or (
            node["type"] == "union" and any(branch["type"] == "null" for branch in node["branches"])
        )

    def null_of(node: Any) -> Any:
        if node["type"] == "union" and wide(node):
            return Branch([branch["type"] for branch in node["branches"]].index("null"), None)
        return None

    def union(node: Any, value: Any) -> Any:
        branches = [schema.at(branch) for branch in node["branches"]]
        if not wide(node):
            for branch in branches:
                if (branch["type"] == "null") == (value is None):
                    return go(branch, value)
            if any(branch["type"] != "null" for branch in branches):
                return go(next(branch for branch in branches if branch["type"] != "null"), value)
            raise Bad("null alone")
        if isinstance(value, dict):
            fits = []
            for number, branch in enumerate(branches):
                if branch["type"] == "record":
                    needed = [
                        each.get("json_name", each["name"])
                        for each in branch["fields"]
                        if "default" not in each
                        and not (missing == "fill" and nullable(each["type"]))
                    ]
                    if all(name in value for name in needed):
                        fits.append(number)
            fits = fits or [
                number for number, branch in enumerate(branches) if branch["type"] == "map"
            ]
            if len(fits) != 1:
                raise Bad("no branch, or several")
            return Branch(fits[0], go(branches[fits[0]], value))
        for kind in order(branches, value):
            for number, branch in enumerate(branches):
                if branch["type"] == kind:
                    try:
                        return Branch(number, go(branch, value))
                    except Bad:
                        continue
        raise Bad("no branch")

    def order(branches: list[Any], value: Any) -> list[str]:
        if value is None:
            return ["null"]
        if isinstance(value, bool):
            return ["boolean"]
        if isinstance(value, int):
            return ["int", "long", "double", "float", "bytes", "fixed"]
        if isinstance(value, float):
            return ["double", "float", "bytes", "fixed"]
        if isinstance(value, str):
            has_string = any(branch["type"] == "string" for branch in branches)
            return ["enum", "int", "long", *(["string"] if has_string else ["bytes", "fixed"])]
        return ["array"]

    return go(node, value)


UNITS = {"millis": 10**3, "micros": 10**6, "nanos": 10**9}


def logical_from_json(node: Any, of: str, value: Any) -> Any:
    if of in ("decimal", "big-decimal"):
        return decimal_from_json(node, of, value)
    if of == "uuid":
        try:
            if isinstance(value, str) and len(value) == 36:
                return str(uuid.UUID(value))
        except ValueError:
            pass
        raise Bad("uuid")
    if of == "duration":
        return duration_from_json(value)
    if isinstance(value, str):
        value = time_from_text(of, value)
    if type(value) is not int or not least(of) <= value <= most(of):
        raise Bad("time")
    return value


YEAR_1, YEAR_10000 = -62_135_596_800, 253_402_300_800


def least(of: str) -> int:
    """The least datum of a time that a datetime, or 64 bits, can hold."""
    if of == "date":
        return YEAR_1 // 86_400
    return 0 if of.startswith("time-") else max(YEAR_1 * UNITS[of.rpartition("-")[2]], -(2**63))


def most(of: str) -> int:
    if of == "date":
        return YEAR_10000 // 86_400 - 1
    unit = UNITS[of.rpartition("-")[2]]
    return (86_400 if of.startswith("time-") else min(YEAR_10000, 2**63 // unit + 1)) * unit - 1


DAYS = ("%Y-%m-%d", "%Y%m%d", "%a, %d %b %Y", "%d %b %Y")
CLOCKS = ("%H:%M:%S", "%H:%M", "T%H%M%S", "T%H%M", "T%H:%M:%S", "T%H:%M")
MOMENTS = (
    *(
        f"{day}{sep}{clock}"
        for day in DAYS[:2]
        for sep in "T "
        for clock in ("%H:%M:%S", "%H:%M", "%H%M%S", "%H%M")
    ),
    *(f"{day} {clock}" for day in DAYS[2:] for clock in ("%H:%M:%S", "%H:%M")),
)


def parsed(text: str, formats: tuple[str, ...]) -> datetime:
    """The time in the one of the formats that gives the same text back."""
    for each in formats:
        try:
            found = datetime.strptime(text, each)
        except ValueError:
            continue
        year = f"{found.year:04}"
        if found.strftime(each.replace("%Y", year)) == text:
            return found
    raise Bad("time")


def time_from_text(of: str, text: str) -> int:
    """Text in one of some forms; the engine takes a few more (small letters, days of one digit)."""
    if of == "date":
        return (parsed(text, DAYS) - datetime(1970, 1, 1)).days
    unit = UNITS[of.rpartition("-")[2]]
    found = re.fullmatch(r"(.*?\d)([.,](\d+))?( ?(Z|z|UTC|GMT|[+-]\d\d(:?\d\d)?))?", text)
    if found is None or (found[2] and re.search(r"(\d\d:\d\d:\d\d|T\d{6})$", found[1]) is None):
        raise Bad("time")
    part = int((found[3] or "0")[:9].ljust(9, "0")) * unit // 10**9
    if of.startswith("time-"):
        if found[5]:
            raise Bad("time")
        at = parsed(found[1], CLOCKS).replace(1970, 1, 1)
    else:
        if (found[5] is None) != of.startswith("local"):
            raise Bad("zone")
        at = parsed(found[1].replace("t", "T") if "-" in found[1] else found[1], MOMENTS)
    past = at - datetime(1970, 1, 1)
    seconds = past.days * 86_400 + past.seconds - offset(found[5] or "Z")
    return seconds * unit + part


def offset(zone: str) -> int:
    if zone[0] not in "+-":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
    if hours > 23 or minutes > 59:
        raise Bad("zone")
    return (hours * 60 + minutes) * (-60 if zone[0] == "-" else 60)


def decimal_from_json(node: Any, of: str, value: Any) -> Decimal:
    if type(value) not in (str, int, float):
        raise Bad("decimal")
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except ArithmeticError:
        raise Bad("decimal") from None
    if not number.is_finite():
        raise Bad("decimal")
    if of == "decimal":
        if abs(number.adjusted()) > 3_000:
            raise Bad("decimal")
        with localcontext() as context:
            context.prec = 5_000
            shifted = number.scaleb(node.get("scale", 0))
            if shifted != shifted.to_integral_value() or abs(shifted) >= 10 ** node["precision"]:
                raise Bad("decimal")
    elif len(number.as_tuple().digits) > 1_000 or abs(number.as_tuple().exponent) > 1_000:
        raise Bad("decimal")
    return number


def duration_from_json(value: Any) -> bytes:
    found = isinstance(value, str) and re.fullmatch(
        r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?"
        r"(T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(\.\d{1,3})?S)?)?",
        value,
    )
    if not found or value in ("P", "PT") or value.endswith("T"):
        raise Bad("duration")
    number = [int(found[index] or 0) for index in (1, 2, 3, 4, 6, 7, 8)]
    millis = int((found[9] or ".")[1:].ljust(3, "0"))
    parts = (
        number[0] * 12 + number[1],
        number[2] * 7 + number[3],
        (number[4] * 3600 + number[5] * 60 + number[6]) * 1000 + millis,
    )
    if max(parts) >= 2**32:
        raise Bad("duration")
    return struct.pack("<III", *parts)


def default(schema: Schema, node: Any, value: Any) -> Any:
    """The datum of a default value. Raises Bad when it fits nothing."""
    node = schema.at(node)
    kind = node["type"]
    if kind == "union":
        for number, branch in enumerate(node["branches"]):
            try:
                found = default(schema, branch, value)
            except Bad:
                continue
            return Branch(number, found) if wide(node) else found
        raise Bad("default")
    if kind == "array" and isinstance(value, list):
        return [default(schema, node["items"], each) for each in value]
    if kind == "map" and isinstance(value, dict):
        return {key: default(schema, node["items"], each) for key, each in value.items()}
    if kind == "record" and isinstance(value, dict):
        out = {}
        for each in node["fields"]:
            if each["name"] not in value and "default" not in each:
                raise Bad("default")
            out[each["name"]] = default(
                schema, each["type"], value.get(each["name"], each.get("default"))
            )
        return out
    raw = from_json(
        schema, {key: part for key, part in node.items() if key != "logicalType"}, value
    )
    return from_bytes(node, raw) if kind in ("bytes", "fixed") else raw


# -- datum -> bytes -------------------------------------------------------------------------------


def long_bytes(value: int) -> bytes:
    value = 2 * value if value >= 0 else -2 * value - 1
    out = b""
    while value >= 128:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def signed(number: int) -> bytes:
    size = 1
    while not -(2 ** (8 * size - 1)) <= number < 2 ** (8 * size - 1):
        size += 1
    return number.to_bytes(size, "big", signed=True)


def to_bytes(node: Any, value: Any) -> bytes:
    """What a `bytes` or `fixed` holds."""
    of = logical(node)
    if of == "uuid":
        return uuid.UUID(value).bytes
    if of in ("decimal", "big-decimal"):
        with localcontext() as context:
            context.prec = 5_000
            if of == "big-decimal":
                scale = -value.as_tuple().exponent
                digits = signed(int(value.scaleb(scale)))
                return long_bytes(len(digits)) + digits + long_bytes(scale)
            number = int(value.scaleb(node.get("scale", 0)))
            return (
                number.to_bytes(node["size"], "big", signed=True)
                if node["type"] == "fixed"
                else signed(number)
            )
    return value


def from_bytes(node: Any, data: bytes) -> Any:
    of = logical(node)
    if of == "uuid":
        return str(uuid.UUID(bytes=data))
    if of == "decimal":
        number = int.from_bytes(data, "big", signed=True)
        if abs(number) >= 10 ** node["precision"] or not data:
            raise Bad("decimal")
        return exactly(number, node.get("scale", 0))
    if of == "big-decimal":
        size, at = long_at(data, 0)
        scale, end = long_at(data, at + size)
        if size < 1 or end != len(data) or abs(scale) > 1_000:
            raise Bad("big-decimal")
        return exactly(int.from_bytes(data[at : at + size], "big", signed=True), scale)
    return data


def exactly(number: int, scale: int) -> Decimal:
    with localcontext() as context:
        context.prec = 5_000
        return Decimal(number).scaleb(-scale)


def encode(schema: Schema, node: Any, datum: Any) -> bytes:
    """The binary encoding of a datum that fits."""
    node = schema.at(node)
    kind = node["type"]
    if kind == "null":
        return b""
    if kind == "boolean":
        return bytes([datum])
    if kind in ("int", "long"):
        return long_bytes(datum)
    if kind == "float":
        return struct.pack("<f", datum)
    if kind == "double":
        return struct.pack("<d", datum)
    if kind == "string":
        return long_bytes(len(datum.encode())) + datum.encode()
    if kind == "bytes":
        data = to_bytes(node, datum)
        return long_bytes(len(data)) + data
    if kind == "fixed":
        return to_bytes(node, datum)
    if kind == "enum":
        return long_bytes(node["symbols"].index(datum))
    if kind == "array":
        items = b"".join(encode(schema, node["items"], each) for each in datum)
        return (long_bytes(len(datum)) + items if datum else b"") + b"\0"
    if kind == "map":
        items = b"".join(
            long_bytes(len(key.encode())) + key.encode() + encode(schema, node["items"], each)
            for key, each in datum.items()
        )
        return (long_bytes(len(datum)) + items if datum else b"") + b"\0"
    if kind == "record":
        return b"".join(
            encode(schema, each["type"], datum[each["name"]]) for each in node["fields"]
        )
    if isinstance(datum, Branch):
        return long_bytes(datum.number) + encode(
            schema, node["branches"][datum.number], datum.value
        )
    number = next(
        number
        for number, branch in enumerate(node["branches"])
        if (branch["type"] == "null") == (datum is None)
    )
    return long_bytes(number) + encode(schema, node["branches"][number], datum)


# -- bytes -> datum, as the reader's schema -------------------------------------------------------


def long_at(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if not 0 <= at < len(data) or shift > 63:
            raise Bad("long")
        value += (data[at] % 128) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            break
    if value >= 2**64:
        raise Bad("long")
    return (value // 2 if value % 2 == 0 else -(value // 2) - 1), at


PROMOTED = {
    ("int", "long"),
    ("int", "float"),
    ("int", "double"),
    ("long", "float"),
    ("long", "double"),
    ("float", "double"),
    ("string", "bytes"),
    ("bytes", "string"),
}


class Decoder:
    """Reads one datum of `writer` as `reader`."""

    def __init__(self, writer: Schema, reader: Schema, data: bytes) -> None:
        self.writer, self.reader, self.data, self.at = writer, reader, data, 0

    def run(self) -> Any:
        found = self.read(self.writer.root, self.reader.root)
        if self.at != len(self.data):
            raise Bad("bytes left")
        return found

    def long(self, bits: int = 64) -> int:
        begin = self.at
        value, self.at = long_at(self.data, self.at)
        if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1) or (
            bits == 32 and self.at - begin > 5
        ):
            raise Bad("range")
        return value

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise Bad("end")
        self.at += size
        return self.data[self.at - size : self.at]

    def text(self) -> str:
        try:
            return self.take(self.long()).decode()
        except UnicodeDecodeError:
            raise Bad("utf-8") from None

    def matches(self, written: Any, read: Any) -> bool:
        written, read = self.writer.at(written), self.reader.at(read)
        if "union" in (written["type"], read["type"]):
            return True
        if written["type"] != read["type"]:
            if (written["type"], read["type"]) not in PROMOTED:
                return False
        elif (
            "full" in written
            and written["full"].split(".")[-1] != read["full"].split(".")[-1]
            and written["full"] not in read["aliases"]
        ) or written.get("size") != read.get("size"):
            return False
        a, b = logical(written), logical(read)
        if a and b and (a, *scales(written, a)) != (b, *scales(read, b)):
            return False
        return written["type"] not in ("array", "map") or self.matches(
            written["items"], read["items"]
        )

    def same(self, written: Any, read: Any) -> bool:
        """No promotion, and no name that matches only in its last part."""
        if written["type"] != read["type"]:
            return False
        return (
            "full" not in written
            or written["full"] == read["full"]
            or written["full"] in read["aliases"]
        )

    def read(self, written: Any, read: Any) -> Any:
        written, read = self.writer.at(written), self.reader.at(read)
        if written["type"] == "union":
            number = self.long()
            if not 0 <= number < len(written["branches"]):
                raise Bad("branch")
            return self.read(written["branches"][number], read)
        if read["type"] == "union":
            fits = [
                number
                for number, branch in enumerate(read["branches"])
                if self.matches(written, branch)
            ]
            exact = [
                number
                for number in fits
                if self.same(written, self.reader.at(read["branches"][number]))
            ]
            if not fits:
                raise Bad("no branch")
            number = (exact or fits)[0]
            found = self.read(written, read["branches"][number])
            return Branch(number, found) if wide(read) else found
        if not self.matches(
            {**written, "items": {"type": "union"}} if "items" in written else written, read
        ):
            raise Bad("mismatch")
        return self.same_kind(written, read)

    def same_kind(self, written: Any, read: Any) -> Any:
        kind = written["type"]
        if kind == "null":
            return None
        if kind == "boolean":
            byte = self.take(1)[0]
            if byte > 1:
                raise Bad("boolean")
            return byte == 1
        if kind in ("int", "long"):
            value = self.long(32 if kind == "int" else 64)
            if read["type"] == "float":
                return struct.unpack("<f", struct.pack("<f", value))[0]
            return float(value) if read["type"] == "double" else value
        if kind in ("float", "double"):
            return struct.unpack(
                "<f" if kind == "float" else "<d", self.take(4 if kind == "float" else 8)
            )[0]
        if kind in ("string", "bytes", "fixed"):
            data = self.take(node_size(written) if kind == "fixed" else self.long())
            try:
                return data.decode() if read["type"] == "string" else from_bytes(read, data)
            except UnicodeDecodeError:
                raise Bad("utf-8") from None
        if kind == "enum":
            number = self.long(32)
            if not 0 <= number < len(written["symbols"]):
                raise Bad("symbol")
            symbol = written["symbols"][number]
            if symbol not in read["symbols"]:
                if "default" not in read:
                    raise Bad("symbol")
                return read["default"]
            return symbol
        if kind == "array":
            return [self.read(written["items"], read["items"]) for _ in self.blocks()]
        if kind == "map":
            return {self.text(): self.read(written["items"], read["items"]) for _ in self.blocks()}
        return self.record(written, read)

    def blocks(self) -> Any:
        """Once for each item."""
        while (count := self.long()) != 0:
            end = None
            if count < 0:
                size = self.long()
                end = self.at + size
            for _ in range(abs(count)):
                yield
            if end is not None and self.at != end:
                raise Bad("block size")

    def record(self, written: Any, read: Any) -> Any:
        names = [each["name"] for each in written["fields"]]
        source = {}
        for each in read["fields"]:
            if each["name"] in names:
                source[each["name"]] = each["name"]
        for each in read["fields"]:
            for alias in each.get("aliases", []):
                if each["name"] not in source and alias in names and alias not in source.values():
                    source[each["name"]] = alias
        values = {}
        for each in written["fields"]:
            target = next(
                (field for field in read["fields"] if source.get(field["name"]) == each["name"]),
                None,
            )
            if target is None:
                Decoder.read_own(self, each["type"])
            else:
                values[target["name"]] = self.read(each["type"], target["type"])
        for each in read["fields"]:
            if each["name"] not in values:
                if "default" not in each:
                    raise Bad("no default")
                values[each["name"]] = default(self.reader, each["type"], each["default"])
        return {each["name"]: values[each["name"]] for each in read["fields"]}

    def read_own(self, written: Any) -> Any:
        """Reads a value that nobody wants."""
        own = Decoder(self.writer, self.writer, self.data)
        own.at = self.at
        own.read(written, written)
        self.at = own.at


def node_size(node: Any) -> int:
    size: int = node["size"]
    return size


def scales(node: Any, of: str) -> tuple[int, int]:
    return (node["precision"], node.get("scale", 0)) if of == "decimal" else (0, 0)
