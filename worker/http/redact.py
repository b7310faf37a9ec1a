"""Takes credentials out of text that came from elsewhere: servers say back what they were sent. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

LEAST_CHARS: Final = 4  # shorter ones stand in any text by chance
REDACTED: Final = "***"


def credentials_in(headers: Mapping[str, str], params: Mapping[str, str]) -> set[str]:
    """The secret parts of what authentication adds to a request: tokens without their scheme, passwords, keys, cookie values."""
    found = set(params.values())
    for value in headers.values():
        _, _, rest = value.partition(" ")
        found |= {value, rest, value.partition("=")[2]}
        if value.startswith("Basic "):
            try:
                found.add(base64.b64decode(rest, validate=True).decode().partition(":")[2])
            except (binascii.Error, UnicodeDecodeError):
                continue
    return {secret for secret in found if len(secret) >= LEAST_CHARS}


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret replaced, also where it is percent-encoded or escaped as in JSON."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = re.sub("".join(map(_forms, secret)), REDACTED, text)
    return text


def _forms(char: str) -> str:
    """A pattern of the ways in which a character is written."""
    percent = "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
    taken = char.encode("utf-8", "surrogatepass").decode("latin-1")  # as servers read headers
    ways = {re.escape(way) for way in (char, "\\" + char, taken, json.dumps(char)[1:-1])}
    hex_ways = {
        re.escape(way)
        for way in (
            percent,
            json.dumps(taken)[1:-1] if taken != char else percent,
            f"\\u{ord(char):04x}",
        )
    }
    return f"(?:{'|'.join(sorted(ways))}|(?i:{'|'.join(sorted(hex_ways))}))"
