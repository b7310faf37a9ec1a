"""`make bench-values`: what a field costs whose values are in the words of the source.

CPU time in one process, interleaved; of each page the least. Each row decodes and encodes the same page of 1,000 records
twice: with the field as the source writes it, and with the field in its native form, which is a
whole number for a time and a JSON number for a number. The difference is what the spelling costs.

distinct   no two records of the page have the same value
repeating  the page has 20 different values
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from worker.formats.json import Decode, JsonPages
from worker.formats.records import PageSpec
from worker.runtime.slices import at_once
from worker.schema import compile_plan, parse_schema
from worker.schema.spellings import AS_USUAL

RECORDS: Final = 1_000
PAGES: Final = 16
"""Different pages that follow each other: more texts than are remembered, see text_checks.py."""
KINDS: Final = {"distinct": RECORDS, "repeating": 20}
_STEP: Final = timedelta(seconds=37, milliseconds=123)
_START: Final = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
_LONG_AGO: Final = timedelta(days=36_524)
_BERLIN: Final = ZoneInfo("Europe/Berlin")
_MILLIS: Final = {"type": "long", "logicalType": "timestamp-millis"}
_DATE: Final = {"type": "int", "logicalType": "date"}
_TIME: Final = {"type": "int", "logicalType": "time-millis"}
_DECIMAL: Final = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}


def _moment(number: int) -> datetime:
    return _START + number * _STEP


def _millis(number: int) -> int:
    return round(_moment(number).timestamp() * 1_000)


def _seconds(number: int) -> int:
    return _millis(number) // 1_000 * 1_000


def _pattern(pattern: str) -> Callable[[int], str]:
    return lambda number: _moment(number).astimezone(_BERLIN).strftime(pattern)


@dataclass(frozen=True, slots=True)
class Row:
    """A field as a source writes it.

    Attributes:
        written: number -> value of the source.   native: number -> the same value as its type has.
    """

    label: str
    kind: Any
    written: Callable[[int], Any]
    native: Callable[[int], Any]
    decode: dict[str, Any] = field(default_factory=dict)


def _local(pattern: str) -> dict[str, Any]:
    return {"times": {"at": pattern}, "time_zone": "Europe/Berlin"}


def _or(text: Any, number: int, value: Any) -> Any:
    """Every tenth value is absent."""
    return value if number % 10 else text


ROWS: Final = (
    Row("RFC 3339, Z", _MILLIS, lambda n: f"{_moment(n):%Y-%m-%dT%H:%M:%SZ}", _seconds),
    Row("with an offset", _MILLIS,
        lambda n: _moment(n).astimezone(_BERLIN).isoformat(timespec="seconds"), _seconds),
    Row("with a fraction of 3 digits", _MILLIS,
        lambda n: _moment(n).isoformat(timespec="milliseconds").replace("+00:00", "Z"), _millis),
    Row("with a fraction of 9 digits", _MILLIS,
        lambda n: f"{_moment(n):%Y-%m-%dT%H:%M:%S.%f}789Z", _millis),
    Row("with a fraction as Go writes it", _MILLIS,
        lambda n: f"{_moment(n):%Y-%m-%dT%H:%M:%S.%f}".rstrip("0").rstrip(".") + "Z", _millis),
    Row("before 1970", _MILLIS, lambda n: f"{_moment(n) - _LONG_AGO:%Y-%m-%dT%H:%M:%SZ}",
        lambda n: _seconds(n) - _LONG_AGO // timedelta(milliseconds=1)),
    Row("some null", ["null", _MILLIS],
        lambda n: _or(None, n, f"{_moment(n):%Y-%m-%dT%H:%M:%SZ}"),
        lambda n: _or(None, n, _seconds(n))),
    Row("local time, time_zone", _MILLIS, _pattern("%Y-%m-%d %H:%M:%S"), _seconds,
        {"time_zone": "Europe/Berlin"}),
    Row("%d.%m.%Y %H:%M:%S", _MILLIS, _pattern("%d.%m.%Y %H:%M:%S"), _seconds,
        _local("%d.%m.%Y %H:%M:%S")),
    Row("%d.%m.%Y %H:%M:%S.%f", _MILLIS, _pattern("%d.%m.%Y %H:%M:%S.%f"), _millis,
        _local("%d.%m.%Y %H:%M:%S.%f")),
    Row("%d/%m/%Y %H:%M:%S %z", _MILLIS, _pattern("%d/%m/%Y %H:%M:%S %z"), _seconds,
        _local("%d/%m/%Y %H:%M:%S %z")),
    Row("%d %b %Y %H:%M:%S", _MILLIS, _pattern("%d %b %Y %H:%M:%S"), _seconds,
        _local("%d %b %Y %H:%M:%S")),
    Row("%m/%d/%y %I:%M:%S %p", _MILLIS, _pattern("%m/%d/%y %I:%M:%S %p"), _seconds,
        _local("%m/%d/%y %I:%M:%S %p")),
    Row("RFC 2822", _MILLIS, lambda n: f"{_moment(n):%a, %d %b %Y %H:%M:%S GMT}", _seconds),
    Row("epoch seconds", _MILLIS, lambda n: _seconds(n) // 1_000, _seconds,
        {"times": {"at": "epoch_s"}}),
    Row("epoch seconds, float", _MILLIS, lambda n: _millis(n) / 1_000, _millis,
        {"times": {"at": "epoch_s"}}),
    Row("epoch seconds in text", _MILLIS, lambda n: str(_seconds(n) // 1_000), _seconds,
        {"times": {"at": "epoch_s"}}),
    Row("epoch seconds in text, fraction", _MILLIS, lambda n: f"{_millis(n) / 1_000:.3f}", _millis,
        {"times": {"at": "epoch_s"}}),
    Row("/Date(1714979289000)/", _MILLIS, lambda n: f"/Date({_millis(n)})/", _millis,
        {"times": {"at": "json_date"}}),
    Row("date", _DATE, lambda n: str(_moment(n * 2_000).date()),
        lambda n: _millis(n * 2_000) // 86_400_000),
    Row("time of day", _TIME, lambda n: f"{_moment(n):%H:%M:%S}",
        lambda n: _seconds(n) % 86_400_000),
    Row("whole number in text", "long", lambda n: str(7 * n), lambda n: 7 * n,
        {"coerce": ["numbers"]}),
    Row("with groups of digits", "long", lambda n: f"{977 * n:,}", lambda n: 977 * n,
        {"coerce": ["numbers"]}),
    Row("number in text", "double", lambda n: f"{n / 8:.3f}", lambda n: n / 8,
        {"coerce": ["numbers"]}),
    Row("number with a comma", "double", lambda n: f"{n / 8:.3f}".replace(".", ","),
        lambda n: n / 8, {"coerce": {"numbers": {"group": ".", "decimal": ","}}}),
    Row("decimal in text", _DECIMAL, lambda n: f"{n / 4:.2f}", lambda n: n / 4,
        {"coerce": ["numbers"]}),
    Row("flag", "boolean", lambda n: "NY"[n % 2], lambda n: n % 2 == 1, {"coerce": ["booleans"]}),
    Row("text that means null, in numbers", ["null", "long"], lambda n: _or("N/A", n, 7 * n),
        lambda n: _or(None, n, 7 * n), {"null_values": ["N/A"]}),
    Row("the same, numbers in text", ["null", "long"], lambda n: _or("N/A", n, str(7 * n)),
        lambda n: _or(None, n, 7 * n), {"null_values": ["N/A"], "coerce": ["numbers"]}),
    Row("text that means null, in text", ["null", "string"], lambda n: _or("-", n, f"a{n}"),
        lambda n: _or(None, n, f"a{n}"), {"null_values": {"at": ["-"]}}),
)  # fmt: skip


def _pages(value: Callable[[int], Any], different: int) -> Iterator[bytes]:
    for page in range(PAGES):
        start = page * different
        yield json.dumps(
            [{"id": n, "at": value(start + n % different)} for n in range(RECORDS)]
        ).encode()


class _Side:
    """The pages of a row in one of its two forms.

    Attributes:
        encoded: the records of all pages.
        least_s: the least CPU time that each page took.
    """

    def __init__(
        self, row: Row, value: Callable[[int], Any], decode: dict[str, Any], different: int
    ) -> None:
        spelled = Decode.model_validate({"type": "json", **decode}).spellings
        fields = [{"name": "id", "type": "long"}, {"name": "at", "type": row.kind}]
        schema = parse_schema(json.dumps({"type": "record", "name": "R", "fields": fields}))
        self._plan = compile_plan(schema, spellings=spelled if decode else AS_USUAL)
        self._decoder = JsonPages(PageSpec(), self._plan)
        self._pages = list(_pages(value, different))
        self.encoded = b"".join(map(self._run, self._pages))
        self.least_s = [math.inf] * PAGES

    def _run(self, page: bytes) -> bytes:
        return self._plan.encode(at_once(self._decoder.decode(page)).records)

    def measure(self) -> None:
        """Runs all pages once more."""
        for number, page in enumerate(self._pages):
            started = time.process_time()
            self._run(page)
            self.least_s[number] = min(self.least_s[number], time.process_time() - started)


def cost(row: Row, different: int, rounds: int) -> float:
    """Microseconds that the spelling costs per field: the difference of the minima of both sides.

    Raises SystemExit where the two do not encode the same.
    """
    written = _Side(row, row.written, row.decode, different)
    native = _Side(row, row.native, {}, different)
    if written.encoded != native.encoded:
        raise SystemExit(f"{row.label}: the two forms are not the same values")
    for _ in range(rounds):
        written.measure()
        native.measure()
    return (sum(written.least_s) - sum(native.least_s)) / RECORDS / PAGES * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="", help="parts of labels, with commas; default: all")
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    gc.set_threshold(20_000, 20, 50)  # as in a run of the product
    wanted = options.rows.split(",")
    print("| us per field | " + " | ".join(KINDS) + " |")
    print("|---|" + "---|" * len(KINDS))
    for row in ROWS:
        if any(part in row.label for part in wanted):
            costs = [cost(row, different, options.rounds) for different in KINDS.values()]
            print(f"| {row.label} | {' | '.join(f'{each:.2f}' for each in costs)} |", flush=True)


if __name__ == "__main__":
    main()
