"""Apache Avro for Java as a reader: containers are sent to one process that runs `java/Reader.java`.

What it answers are the datums of the engine: numbers of a time's unit, `Decimal`, canonical text of
uuids, bytes. Times are built here from the parts of the calendar that Java states, so that a time
that Java reads otherwise is another number.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final

PROGRAM: Final = Path(__file__).parent / "java" / "Reader.java"
EPOCH: Final = date(1970, 1, 1)
NANOS: Final = {"millis": 1_000_000, "micros": 1_000, "nanos": 1}
"""Nanoseconds of each unit."""


class Refused(ValueError):
    """Java cannot read the container; the text is its exception."""


@contextmanager
def java_reader(jars: Path) -> Iterator[Callable[[bytes], list[Any]]]:
    """What reads the records of a container as Java does, while the process lives.

    Args:
        jars: the directory that `make long-readers` fills.
    """
    command = ["java", "-Xshare:auto", "-cp", f"{jars}/*", str(PROGRAM)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as java:
        assert java.stdin is not None and java.stdout is not None
        sent, answers = java.stdin, java.stdout
        yield lambda container: _read(sent, answers, container)
        sent.close()
        assert java.wait(timeout=60) == 0


def _read(sent: IO[str], answers: IO[str], container: bytes) -> list[Any]:
    print(base64.b64encode(container).decode(), file=sent, flush=True)
    line = answers.readline()
    assert line, "the Java process ended; its standard error says why"
    answer = json.loads(line, object_hook=_datum)
    if "refused" in answer:
        raise Refused(answer["refused"])
    records: list[Any] = answer["records"]
    return records


def _datum(node: dict[str, Any]) -> Any:
    """The datum of an object of one entry; the answer itself has other keys and stays."""
    ((tag, value),) = node.items()
    if tag in ("record", "map"):
        return dict(value)
    if tag in ("decimal", "big-decimal"):
        return Decimal(value)
    if tag in ("uuid", "double"):
        return float(value) if tag == "double" else value
    if tag == "duration":
        return b"".join(part.to_bytes(4, "little") for part in value)
    if tag == "bytes":
        return value.encode("latin-1")
    return node if tag in ("records", "refused") else _time(tag, value)


def _time(logical: str, parts: list[int]) -> int:
    """The datum of a time that has these parts: the day, where the type has one, then the clock."""
    if logical == "date":
        return (date(*parts) - EPOCH).days
    *day, hour, minute, second, nanos = parts
    days = (date(*day) - EPOCH).days if day else 0
    all_nanos = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000 + nanos
    whole, rest = divmod(all_nanos, NANOS[logical.rpartition("-")[2]])
    assert rest == 0, f"{logical} is finer than its unit: {parts}"
    return whole
