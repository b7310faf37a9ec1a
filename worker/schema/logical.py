"""Logical types: which ones are valid where, and their values as bytes, as datums and as text.

The datum (the value between stages) of a time is a whole number in the unit of its type, that of a
decimal a `Decimal`, that of a uuid its canonical text, and that of a duration its 12 bytes.

Source: Avro specification, "Logical Types".
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any, Final

from worker.core.instants import EPOCH_DAY, EPOCH_SHOWN
from worker.schema.binary import varint
from worker.schema.errors import SchemaError
from worker.schema.model import Type
from worker.schema.primitives import Broken, read_int

MAX_PRECISION: Final = 1_000
"""The most digits of a decimal, which is what PostgreSQL's numeric can declare. There is a limit
because conversions take quadratic time."""
MAX_SCALE: Final = 1_000
"""The largest scale of a big-decimal, in either direction."""
EXACT: Final = Context(prec=4 * MAX_PRECISION, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Arithmetic that does not round; the default context rounds to 28 digits."""
_BIG_DECIMAL_BYTES: Final = 512
_TEXT_CHARS: Final = 3 * MAX_PRECISION  # of a decimal as text: zeros at either end are allowed

UNDERLYING: Final = {
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
"""Logical type -> the kinds of types that can have it."""
SIZES: Final = {"uuid": 16, "duration": 12}
"""Logical type -> the bytes of a fixed that has it."""


def logical_type(kind: Type, node: dict[str, Any], path: str) -> Type:
    """The type with the logical type that its JSON node declares.

    A logical type that is unknown or invalid here is ignored, as the specification demands.

    Raises:
        SchemaError: a decimal of more than MAX_PRECISION digits.
    """
    logical = node.get("logicalType")
    if not isinstance(logical, str) or kind.kind not in UNDERLYING.get(logical, ()):
        return kind
    if kind.kind == "fixed" and kind.size != SIZES.get(logical, kind.size):
        return kind
    precision, scale = node.get("precision", 0), node.get("scale", 0)
    if logical != "decimal":
        precision = scale = 0
    elif not _is_decimal(kind, precision, scale):
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


def _is_decimal(kind: Type, precision: Any, scale: Any) -> bool:
    """Whether precision and scale are valid, and the digits fit into a fixed (specification,
    "Decimal")."""
    if type(precision) is not int or type(scale) is not int:
        return False
    if precision <= 0 or not 0 <= scale <= precision:
        return False
    return kind.kind != "fixed" or precision <= decimal_digits(kind.size)


def decimal_digits(size: int) -> int:
    """How many digits every decimal may have that is stored in so many bytes (specification,
    "Decimal")."""
    return max(math.floor(math.log10(2) * (8 * size - 1)), 0)


# -- text of uuids and decimals -----------------------------------------------------------------

_UUID: Final = re.compile("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DECIMAL: Final = re.compile("[+-]?(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)(?:[eE][+-]?[0-9]+)?")


def read_uuid(text: str) -> str:
    """A uuid in its usual form (RFC 9562), in lower case.

    Raises:
        ValueError: the text has another form. Python's own reader would also take spaces, signs and
            underscores among the digits.
    """
    if _UUID.fullmatch(text) is None:
        raise ValueError("not a uuid")
    return text.lower()


def read_decimal(text: str) -> Decimal:
    """The finite number in a text.

    Raises:
        ValueError: no number, or a form that only Python takes (`1_0`, spaces, other digits).
        ArithmeticError: the exponent is beyond what a Decimal can have.
    """
    if len(text) > _TEXT_CHARS or _DECIMAL.fullmatch(text) is None:
        raise ValueError("not a decimal")
    return Decimal(text)


# -- bytes to datums and back -------------------------------------------------------------------


def from_raw(kind: Type, raw: bytes) -> Any:
    """The datum that the bytes of a `bytes` or `fixed` stand for.

    Raises:
        ValueError: the bytes are no value of the logical type.
    """
    return reader(kind)(raw)


def reader(kind: Type) -> Callable[[bytes], Any]:
    """`from_raw` for one type."""
    if kind.logical == "decimal":
        return _decimal_reader(kind)
    if kind.logical == "big-decimal":
        return read_big_decimal
    if kind.logical == "uuid":
        return lambda raw: str(uuid.UUID(bytes=raw))
    return bytes


def writer(kind: Type) -> Callable[[Any], bytes] | None:
    """What turns the datum of a `bytes` or `fixed` into its bytes (without a length); None where
    the datum is those bytes."""
    if kind.logical == "decimal":
        return _decimal_writer(kind)
    if kind.logical == "big-decimal":
        return write_big_decimal
    if kind.logical == "uuid":
        return lambda value: bytes.fromhex(value.replace("-", ""))
    return None


def fits(kind: Type, value: Decimal) -> bool:
    """Whether a finite number is exactly a value of the decimal or big-decimal type."""
    if kind.logical == "big-decimal":
        _, digits, exponent = value.as_tuple()
        assert isinstance(exponent, int)
        return len(digits) <= MAX_PRECISION and abs(exponent) <= MAX_SCALE
    if not value:  # zero may have been written with many zeros
        return abs(value.adjusted()) <= _TEXT_CHARS
    if abs(value.adjusted()) > kind.precision + kind.scale:
        return False  # before anything whose cost grows with the exponent
    _, digits, exponent = value.normalize(EXACT).as_tuple()
    assert isinstance(exponent, int)
    return -exponent <= kind.scale and max(len(digits) + exponent, 0) + kind.scale <= kind.precision


def describe_decimal(kind: Type) -> str:
    """Which numbers a decimal or big-decimal type has, for error messages."""
    if kind.logical == "big-decimal":
        return f"a decimal of at most {MAX_PRECISION} digits"
    digits = f"at most {kind.precision} digits, {kind.scale} of them after the decimal point"
    return f"a decimal of {digits}"


def plain_text(scale: int | None) -> Callable[[Decimal], str]:
    """What writes a decimal without an exponent and with the digits of its scale after the point,
    so that equal numbers have equal texts; minus zero is zero.

    Args:
        scale: of the field; None for a big-decimal, whose scale is that of each number.
    """

    def write(value: Decimal) -> str:
        if scale is not None:
            value = value.normalize(EXACT)
        text = format(value or abs(value), "f")
        if not scale:
            return text
        whole, _, fraction = text.partition(".")
        return f"{whole}.{fraction:0<{scale}}"

    return write


def _signed(number: int, size: int = 0) -> bytes:
    return number.to_bytes(
        size or ((number if number >= 0 else ~number).bit_length() + 8) // 8, "big", signed=True
    )


def _decimal_writer(kind: Type) -> Callable[[Decimal], bytes]:
    shifted, places, size = EXACT.scaleb, Decimal(kind.scale), kind.size
    return lambda value: _signed(int(shifted(value, places)), size)


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
    """The number whose bytes hold an Avro `bytes` with the unscaled number, then an Avro `int` with
    the scale.

    Raises:
        ValueError: the bytes have another form, or the number is beyond the limits.
    """
    size, at = _int(raw, 0)
    digits = raw[at : at + size]
    if not 1 <= size <= _BIG_DECIMAL_BYTES or len(digits) != size:
        raise ValueError(
            f"{size} bytes of digits in {len(raw)}, 1 to {_BIG_DECIMAL_BYTES} are allowed"
        )
    scale, end = _int(raw, at + size)
    if not -MAX_SCALE <= scale <= MAX_SCALE or end != len(raw):
        raise ValueError(
            f"a scale of {scale}, followed by {len(raw) - end} bytes;"
            f" a scale from {-MAX_SCALE} to {MAX_SCALE} at the end is allowed"
        )
    return Decimal(int.from_bytes(digits, "big", signed=True)).scaleb(-scale, EXACT)


def write_big_decimal(value: Decimal) -> bytes:
    """The bytes that `read_big_decimal` reads back; the scale is that of the number as given."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    number = int(Decimal((sign, digits, 0)))
    data = _signed(number)
    return varint(len(data)) + data + varint(-exponent)


def _int(raw: bytes, at: int) -> tuple[int, int]:
    try:
        return read_int(raw, at)
    except (Broken, IndexError):
        raise ValueError("a whole number is missing") from None


# -- durations ----------------------------------------------------------------------------------

_DURATION: Final = re.compile(
    r"P(?=[0-9T])"
    r"(?:(\d{1,10})Y)?(?:(\d{1,10})M)?(?:(\d{1,10})W)?(?:(\d{1,10})D)?"
    r"(?:T(?=\d)(?:(\d{1,10})H)?(?:(\d{1,10})M)?(?:(\d{1,10})(?:\.(\d{1,3}))?S)?)?",
    re.ASCII,
)


def read_duration(text: str) -> bytes:
    """A duration in ISO 8601 text, like P1Y2M3DT4H5M6.007S, as the 12 bytes of Avro: months, days
    and milliseconds.

    Raises:
        ValueError: the text has another form, or one of the three does not fit 32 bits.
    """
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
    parts = (f"{months}M", months), (f"{days}D", days), (seconds, millis)
    return f"P{''.join(text for text, value in parts if value) or '0D'}"


# -- text of times, for people ------------------------------------------------------------------

FRACTION_DIGITS: Final = {"millis": 3, "micros": 6, "nanos": 9}
"""Unit of a time, as it stands in the names of logical types -> digits after the second."""

_UNITS: Final = {unit: 10**digits for unit, digits in FRACTION_DIGITS.items()}
_DAY_S: Final = 86_400
_DAYS: Final = (date.min.toordinal() - EPOCH_DAY, date.max.toordinal() - EPOCH_DAY)
_64_BITS: Final = (-(2**63), 2**63 - 1)

TIME_RANGES: Final[dict[str, tuple[int, int]]] = {
    "date": _DAYS,
    "time-millis": (0, _DAY_S * _UNITS["millis"] - 1),
    "time-micros": (0, _DAY_S * _UNITS["micros"] - 1),
} | {
    f"{local}timestamp-{unit}": (
        max(_DAYS[0] * _DAY_S * ticks, _64_BITS[0]),
        min((_DAYS[1] + 1) * _DAY_S * ticks - 1, _64_BITS[1]),
    )
    for local in ("", "local-")
    for unit, ticks in _UNITS.items()
}
"""Logical type of a time -> its least and its greatest datum.

These are the times that common readers have: those of one day, and the years 1 to 9999. Nanoseconds
have fewer years, because 64 bits hold only 1677 to 2262. The specification sets no limits.
"""


def text_of(kind: Type) -> Callable[[Any], Any] | None:
    """What turns a datum into the text that people write; None when the datum is good as it is.

    A time that the calendar does not have stays a number; NaN and infinities become text.
    """
    if kind.kind in ("float", "double"):
        return _number_text
    logical = kind.logical or ""
    if logical == "duration":
        return duration_text
    if logical == "date":
        return _day_text
    family, _, unit = logical.rpartition("-")
    if unit not in FRACTION_DIGITS:
        return None
    digits = FRACTION_DIGITS[unit]
    ticks = 10**digits  # per second
    if family == "time":
        return lambda value: _clock_text(value, ticks, digits)
    zone = "" if family.startswith("local") else "Z"

    def instant(value: int) -> Any:
        seconds, part = divmod(value, ticks)
        try:
            moment = EPOCH_SHOWN + timedelta(seconds=seconds)
        except OverflowError:
            return value
        return f"{moment.isoformat()}{_fraction(part, digits)}{zone}"

    return instant


def _number_text(value: float) -> Any:
    """JSON has no number for NaN and the infinities: the texts are those of Avro's own encoding."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _day_text(value: int) -> Any:
    try:
        return date.fromordinal(value + EPOCH_DAY).isoformat()
    except (ValueError, OverflowError):
        return value


def _clock_text(value: int, ticks: int, digits: int) -> Any:
    seconds, part = divmod(value, ticks)
    if not 0 <= seconds < 86_400:
        return value
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{clock}{_fraction(part, digits)}"


def _fraction(part: int, digits: int) -> str:
    return f".{part:0{digits}}" if part else ""
