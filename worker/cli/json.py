"""JSON for machines, which is valid also where file names are no text."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click
import orjson


def print_json(value: Any) -> None:
    """Prints one line.

    Bytes of a file name that are no UTF-8 become question marks, as they do in messages.
    """
    try:
        text = orjson.dumps(value)
    except TypeError:  # lone surrogates stand for such bytes
        text = json.dumps(value, default=asdict, ensure_ascii=False).encode("utf-8", "replace")
    click.echo(text)
