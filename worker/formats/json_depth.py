"""How deep JSON text nests, found without recursion: for texts that a parser may not be able to follow. Slow; not for the usual page."""

from __future__ import annotations

import re
from typing import Any, Final

_TOKEN: Final = re.compile(rb'(?s)"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{]|[\]}]')


def nesting(text: Any) -> tuple[int, int]:
    """(deepest level, levels that are open at the end) of bytes that are JSON, or begin like it."""
    depth = deepest = 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token in (b"{", b"["):
            depth += 1
            deepest = max(deepest, depth)
        elif token in (b"}", b"]"):
            depth -= 1
    return deepest, depth


def deeper(text: bytes, limit: int) -> bool:
    """Arrays and objects stand in more than `limit` levels of each other."""
    return text.count(b"{") + text.count(b"[") > limit and nesting(text)[0] > limit
