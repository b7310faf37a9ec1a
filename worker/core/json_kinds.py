"""What a JSON value is, in words that never quote its content."""

from __future__ import annotations

from types import NoneType
from typing import Any, Final

import msgspec

_JSON_KINDS: Final[dict[type, str]] = {
    NoneType: "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    msgspec.Struct: "object",
}


def json_kind(value: Any) -> str:
    """`null`, `boolean`, `integer`, `number` (with a point or an exponent), `string`, `array` or
    `object`; the name of the Python type for what is no JSON value."""
    for base in type(value).__mro__:
        if base in _JSON_KINDS:
            return _JSON_KINDS[base]
    return type(value).__name__


def describe_kind(value: Any) -> str:
    """What a value is, without its content, for error messages."""
    kind = json_kind(value)
    if kind == "string":
        return f"text of {len(value)} characters"
    return "whole number" if kind == "integer" else kind
