"""`worker cat`."""

from __future__ import annotations

import sys
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import click

from worker.runtime.streams import output


@click.command("cat")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
def command(files: tuple[Path, ...]) -> None:
    """Print the records of Avro FILES as JSON lines.

    Bytes become latin-1 text; decimals, times, NaN and infinities become text.
    """
    import orjson

    from worker.schema.container import read_records

    options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
    seen = output()
    for path in files:
        with path.open("rb") as file:
            for record in read_records(file, str(path), text=True):
                sys.stdout.buffer.write(orjson.dumps(record, default=_plain, option=options))
                if seen is not None and seen.reader_gone:
                    return


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value.isoformat() if isinstance(value, date | datetime | time) else str(value)
