"""Why a logical type is ignored: the specification demands that readers ignore one that is unknown
or invalid (specification, "Logical Types"), so nothing but this says that values are not what they
were meant to be.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final

from worker.schema.defaults import json_type
from worker.schema.logical import SIZES, UNDERLYING, decimal_digits
from worker.schema.model import Type

_KEY: Final = "logicalType"
_LETTERS: Final = str.maketrans("", "", "_-. ")


def why_ignored(node: Mapping[str, Any], kind: Type) -> str:
    """What is wrong with the logical type that a JSON node declares; empty where it declares none.

    Args:
        kind: the type that was made of the node, which has no logical type.
    """
    if _KEY not in node:
        other = next((key for key in node if _is_nearly(key)), "")
        return f"{other!r} is ignored: the key is {_KEY!r}" if other else ""
    logical = node[_KEY]
    if not isinstance(logical, str):
        return f"{_KEY} is ignored: it is {json_type(logical)}, text is needed"
    if logical not in UNDERLYING:
        close = difflib.get_close_matches(logical.lower().replace("_", "-"), UNDERLYING, 1, 0.8)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"{_KEY} {logical[:100]!r} is unknown, so the values are those of {kind.kind}{hint}"
    return f"{_KEY} {logical!r} is ignored: {_unfit(node, kind, logical)}"


def beside_field(node: Mapping[str, Any], kind: Type, named: Mapping[str, Type]) -> str:
    """What is wrong with a logical type among the keys of a field; empty where there is none.

    Args:
        kind: the type of the field.
        named: full name -> named type.
    """
    logical = node.get(_KEY)
    types = (named.get(each.name, each) for each in (kind, *kind.branches))
    if not isinstance(logical, str) or logical in {each.logical for each in types}:
        return ""
    return (
        f"{_KEY} {logical[:100]!r} is ignored: it stands beside the type of the field;"
        f' write {{"type": {{"type": ..., "{_KEY}": ...}}}}'
    )


def _is_nearly(key: str) -> bool:
    return key != _KEY and key.casefold().translate(_LETTERS) == _KEY.casefold()


def _unfit(node: Mapping[str, Any], kind: Type, logical: str) -> str:
    """Why a logical type that is known does not fit its node."""
    bases = UNDERLYING[logical]
    if kind.kind == "union":
        return "it stands beside a union; put it into the branch"
    if kind.kind == "ref":
        return f"it stands beside the name of a type; put it where {kind.name} is defined"
    if kind.kind not in bases:
        return f"it needs {' or '.join(bases)}, the type is {kind.kind}"
    if kind.kind == "fixed" and kind.size != SIZES.get(logical, kind.size):
        return f"it needs {SIZES[logical]} bytes, the fixed has {kind.size}"
    precision, scale = node.get("precision"), node.get("scale", 0)
    if type(precision) is not int or precision <= 0:
        return f"precision is {_shown(precision)}, a whole number from 1 on is needed"
    if type(scale) is not int or not 0 <= scale <= precision:
        return f"scale is {_shown(scale)}, a whole number from 0 to {precision} is needed"
    return f"precision is {precision}, {kind.size} bytes hold {decimal_digits(kind.size)} digits"


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    return str(value) if type(value) in (int, float) else json_type(value)
