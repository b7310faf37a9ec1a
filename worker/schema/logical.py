"""Logical types: which are valid where, and their values as bytes, as datums and as text.

Datums (the values between stages): times are whole numbers in the unit of the type, decimals `Decimal`, uuids canonical text, durations
their 12 bytes.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any, Final

from worker.schema.binary import varint
from worker.schema.errors import SchemaError
from worker.schema.model import Type
from worker.schema.primitives import Broken, read_int

MAX_PRECISION: Final = 1_000  # digits; what PostgreSQL's numeric can declare. Conversions are quadratic, so there is an end.
MAX_SCALE: Final = 1_000  # of a big-decimal, in either direction
_DECIMAL_BYTES: Final = 512
_TEXT_CHARS: Final = 3 * MAX_PRECISION  # of a decimal as text: zeros at either end are allowed
EXACT: Final = Context(prec=4 * MAX_PRECISION, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""The default context rounds to 28 digits."""

_FIT: Final = {
    "date": ("int",),
    "time-millis": ("int",),
    "time-micros": ("long",),
    "timestamp-millis": ("long",),
    "timestamp-micros": ("long",),
    "timestamp-nanos": ("long",),
    "local-timestamp-millis": ("long",),
    "local-timestamp-micros": ("long",),
    "local-timestamp-nanos": ("long",),
    "uuid": ("string", "fixed"),
    "decimal": ("bytes", "fixed"),
    "big-decimal": ("bytes",),
    "duration": ("fixed",),
}
_SIZES: Final = {"uuid": 16, "duration": 12}


def logical_type(kind: Type, node: dict[str, Any], path: str) -> Type:
    """The type with its logical type; an unknown or unfit one is ignored, as the specification says. SchemaError over MAX_PRECISION."""
    logical = node.get("logicalType")
    if not isinstance(logical, str) or kind.kind not in _FIT.get(logical, ()):
        return kind
    if kind.kind == "fixed" and logical in _SIZES and kind.size != _SIZES[logical]:
        return kind
    precision = scale = 0
    if logical == "decimal":
        precision, scale = node.get("precision", 0), node.get("scale", 0)
        whole = (
            type(precision) is int
            and type(scale) is int
            and precision > 0
            and 0 <= scale <= precision
        )
        if not whole or (
            kind.kind == "fixed" and precision > math.floor(math.log10(2) * (8 * kind.size - 1))
        ):
            return kind
        if precision > MAX_PRECISION:
            raise SchemaError(
                f"{path}.precision",
                f"a decimal of {precision} digits, at most {MAX_PRECISION} are allowed here",
            )
    return Type(
        kind.kind,
        kind.name,
        size=kind.size,
        logical=logical,
        precision=precision,
        scale=scale,
        aliases=kind.aliases,
    )


# -- text of uuids and decimals ------------------------------------------------------------------------------------

_UUID: Final = re.compile("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DECIMAL: Final = re.compile("[+-]?(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)(?:[eE][+-]?[0-9]+)?")


def read_uuid(text: str) -> str:
    """A uuid in its usual form (RFC 9562), in small letters. Raises ValueError: Python's own reader takes spaces, signs and underscores for digits."""
    if _UUID.fullmatch(text) is None:
        raise ValueError("no uuid")
    return text.lower()


def read_decimal(text: str) -> Decimal:
    """The finite number in a text. Raises ValueError for what only Python takes for one (`1_0`, spaces, other digits), ArithmeticError beyond all limits."""
    if len(text) > _TEXT_CHARS or _DECIMAL.fullmatch(text) is None:
        raise ValueError("no decimal")
    return Decimal(text)


# -- bytes to datums and back -------------------------------------------------------------------------------------


def from_raw(kind: Type, raw: bytes) -> Any:
    """The datum of the bytes of a `bytes` or `fixed`. Raises ValueError for bytes that are none of the logical type."""
    return reader(kind)(raw)


def reader(kind: Type) -> Callable[[bytes], Any]:
    """`from_raw` of one type."""
    if kind.logical == "decimal":
        return _decimal_reader(kind)
    if kind.logical == "big-decimal":
        return read_big_decimal
    if kind.logical == "uuid":
        return lambda raw: str(uuid.UUID(bytes=raw))
    return bytes


def writer(kind: Type) -> Callable[[Any], bytes] | None:
    """Datum -> bytes (without a length) of a `bytes` or `fixed`; None where the datum is those bytes."""
    if kind.logical == "decimal":
        return lambda value: _signed(unscaled(value, kind.scale), kind.size)
    if kind.logical == "big-decimal":
        return write_big_decimal
    if kind.logical == "uuid":
        return lambda value: bytes.fromhex(value.replace("-", ""))
    return None


def fits(kind: Type, value: Decimal) -> bool:
    """A finite value is one of a decimal type, or of big-decimal, exactly."""
    if kind.logical == "big-decimal":
        _, digits, exponent = value.as_tuple()
        assert isinstance(exponent, int)
        return len(digits) <= MAX_PRECISION and abs(exponent) <= MAX_SCALE
    if not value:  # however many zeros were written
        return abs(value.adjusted()) <= _TEXT_CHARS
    if (
        abs(value.adjusted()) > kind.precision + kind.scale
    ):  # before anything that grows with the exponent
        return False
    _, digits, exponent = value.normalize(EXACT).as_tuple()
    assert isinstance(exponent, int)
    return -exponent <= kind.scale and max(len(digits) + exponent, 0) + kind.scale <= kind.precision


def unscaled(value: Decimal, scale: int) -> int:
    """The whole number that stands for the value."""
    return int(value.scaleb(scale, EXACT))


def _signed(number: int, size: int = 0) -> bytes:
    return number.to_bytes(
        size or ((number if number >= 0 else ~number).bit_length() + 8) // 8, "big", signed=True
    )


def _decimal_reader(kind: Type) -> Callable[[bytes], Decimal]:
    limit, scale = 10**kind.precision, kind.scale
    longest = max(kind.size, (limit.bit_length() + 8) // 8 + 8)  # a little padding is harmless

    def read(raw: bytes) -> Decimal:
        if len(raw) > longest or not raw:
            raise ValueError(
                f"{len(raw)} bytes, 1 to {longest} are allowed for {kind.precision} digits"
            )
        number = int.from_bytes(raw, "big", signed=True)
        if not -limit < number < limit:
            raise ValueError(f"more than {kind.precision} digits")
        return Decimal(number).scaleb(-scale, EXACT) if scale else Decimal(number)

    return read


def read_big_decimal(raw: bytes) -> Decimal:
    """The bytes hold an Avro `bytes` with the unscaled number, then an Avro `int` with the scale."""
    size, at = _int(raw, 0)
    digits = raw[at : at + size]
    if not 1 <= size <= _DECIMAL_BYTES or len(digits) != size:
        raise ValueError(f"{size} bytes of digits in {len(raw)}, 1 to {_DECIMAL_BYTES} are allowed")
    scale, end = _int(raw, at + size)
    if not -MAX_SCALE <= scale <= MAX_SCALE or end != len(raw):
        raise ValueError(
            f"scale {scale} and {len(raw) - end} bytes behind it; a scale up to {MAX_SCALE} either way and nothing are allowed"
        )
    return Decimal(int.from_bytes(digits, "big", signed=True)).scaleb(-scale, EXACT)


def write_big_decimal(value: Decimal) -> bytes:
    """See `read_big_decimal`; the scale is that of the value as it was written."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    number = int(Decimal((sign, digits, 0)))
    data = _signed(number)
    return varint(len(data)) + data + varint(-exponent)


def _int(raw: bytes, at: int) -> tuple[int, int]:
    try:
        return read_int(raw, at)
    except (Broken, IndexError):
        raise ValueError("no whole number where one belongs") from None


# -- durations ----------------------------------------------------------------------------------------------------

_DURATION: Final = re.compile(
    r"P(?=[0-9T])(?:(\d{1,10})Y)?(?:(\d{1,10})M)?(?:(\d{1,10})W)?(?:(\d{1,10})D)?(?:T(?=\d)(?:(\d{1,10})H)?(?:(\d{1,10})M)?(?:(\d{1,10})(?:\.(\d{1,3}))?S)?)?",
    re.ASCII,
)


def read_duration(text: str) -> bytes:
    """ISO 8601 text, like P1Y2M3DT4H5M6.007S, as 12 bytes. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    years, months, weeks, days, hours, minutes, seconds = (
        int(part or 0) for part in match.groups()[:7]
    )
    millis = ((hours * 60 + minutes) * 60 + seconds) * 1000 + int((match[8] or "").ljust(3, "0"))
    parts = (years * 12 + months, weeks * 7 + days, millis)
    if max(parts) >= 2**32:
        raise ValueError(text)
    return b"".join(part.to_bytes(4, "little") for part in parts)


def duration_text(raw: bytes) -> str:
    """The shortest text that `read_duration` reads back."""
    months, days, millis = (int.from_bytes(raw[at : at + 4], "little") for at in (0, 4, 8))
    seconds = f"T{millis // 1000}" + (f".{millis % 1000:03}" if millis % 1000 else "") + "S"
    text = (
        "P"
        + (f"{months}M" if months else "")
        + (f"{days}D" if days else "")
        + (seconds if millis else "")
    )
    return text if text != "P" else "P0D"


# -- text of times, for people ------------------------------------------------------------------------------------

_TICKS: Final = {"millis": 1_000, "micros": 1_000_000, "nanos": 1_000_000_000}
_DIGITS: Final = {"millis": 3, "micros": 6, "nanos": 9}


def text_of(kind: Type) -> Callable[[Any], Any] | None:
    """Datum -> text as people write it; the number itself where the calendar has no such day. None when the datum is good as it is."""
    logical = kind.logical or ""
    if logical == "duration":
        return duration_text
    if logical == "date":
        return _day_text
    family, _, unit = logical.rpartition("-")
    if unit not in _TICKS:
        return None
    ticks, digits = _TICKS[unit], _DIGITS[unit]
    if family == "time":
        return lambda value: _clock_text(value, ticks, digits)
    zone = "" if family.startswith("local") else "Z"

    def instant(value: int) -> Any:
        seconds, part = divmod(value, ticks)
        try:
            moment = datetime(1970, 1, 1) + timedelta(seconds=seconds)
        except OverflowError:
            return value
        return f"{moment.isoformat()}{_fraction(part, digits)}{zone}"

    return instant


def _day_text(value: int) -> Any:
    try:
        return date.fromordinal(value + 719_163).isoformat()
    except (ValueError, OverflowError):
        return value


def _clock_text(value: int, ticks: int, digits: int) -> Any:
    seconds, part = divmod(value, ticks)
    if not 0 <= seconds < 86_400:
        return value
    return (
        f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{_fraction(part, digits)}"
    )


def _fraction(part: int, digits: int) -> str:
    return f".{part:0{digits}}" if part else ""
