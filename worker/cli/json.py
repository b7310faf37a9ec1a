"""JSON for machines, which always parses: file names need not be text, JSON has to be."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click
import orjson


def print_json(value: Any) -> None:
    """One line to stdout. Bytes of a file name that are no UTF-8 become question marks, as they do in messages."""
    try:
        text = orjson.dumps(value)
    except TypeError:  # lone surrogates stand for such bytes
        text = json.dumps(value, default=asdict, ensure_ascii=False).encode("utf-8", "replace")
    click.echo(text)
