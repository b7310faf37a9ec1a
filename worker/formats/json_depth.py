"""How deep JSON text nests, found without recursion: a parser may not be able to follow it.

It is slow, and not meant for the usual page.
"""

from __future__ import annotations

import re
from typing import Any, Final

_TOKEN: Final = re.compile(rb'(?s)"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{]|[\]}]')


def nesting(text: Any) -> tuple[int, int]:
    """The deepest level, and the levels that are open at the end, of bytes that begin like JSON."""
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
    """Whether arrays and objects nest in more than `limit` levels."""
    return text.count(b"{") + text.count(b"[") > limit and nesting(text)[0] > limit
