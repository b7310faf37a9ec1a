"""Finds credentials in text from elsewhere, because servers repeat what they were sent. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import unquote

LEAST_CHARS: Final = 4
"""Shorter secrets are left alone, because they occur in any text by chance."""
REDACTED: Final = "***"
ENCODINGS: Final = 3
"""How often text may be encoded on top of each other, like a URL in a JSON text in a query."""

_JSON_ESCAPE: Final = re.compile(r"((?:\\u[0-9a-f]{4})+)|\\", re.IGNORECASE)


def credentials_in(headers: Mapping[str, str], params: Mapping[str, str]) -> set[str]:
    """The secret parts of what authentication adds to a request.

    These are query parameters, header values with and without their scheme, cookie values, and the
    password of Basic credentials (RFC 7617, 2).
    """
    found = set(params.values())
    for value in headers.values():
        _, _, rest = value.partition(" ")
        cookies = (pair.partition("=")[2] for pair in value.split("; "))
        found |= {value, rest, value.partition("=")[2], *cookies}
        if value.startswith("Basic "):
            try:
                found.add(base64.b64decode(rest, validate=True).decode().partition(":")[2])
            except (binascii.Error, UnicodeDecodeError):
                continue
    return {secret for secret in found if len(secret) >= LEAST_CHARS}


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret replaced, also where it is encoded as in a URL or a form, or escaped
    as in JSON.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = re.sub(pattern_of(secret), REDACTED, text)
    return text


def pattern_of(secret: str) -> str:
    """A regular expression of all ways in which a secret is written."""
    return "".join(map(_forms, secret))


def echoes(texts: Iterable[str], secrets: Iterable[str]) -> bool:
    """Whether a text holds one of the secrets, in any way of writing that `redact` replaces.

    Both are decoded and compared. The patterns of `redact` would do as well, but making one takes
    milliseconds: too long for each page of a source whose partitions have credentials of their own.
    """
    written = {way for secret in secrets for way in (secret, _taken(secret))}
    wanted = set(map(_spaced, written.union(map(_decoded, written))))
    for text in texts:
        plain, spaced = _spaced(_decoded(text)), _spaced(text)
        for each in wanted:
            if each in spaced or each in plain:
                return True
    return False


def url_stripper(params: tuple[str, ...]) -> Callable[[str], str]:
    """A function that takes the named query parameters, however their names are written, and any
    user info out of a URL.

    The rest of the URL stays as it is written.
    """
    userinfo = re.compile(r"(?<=//)[^/?#@]*@")
    names = "|".join(map(pattern_of, params))
    secrets = re.compile(rf"(?<=[?&])(?:{names})=[^&#]*&?") if params else None

    def strip(url: str) -> str:
        url = userinfo.sub("", url, count=1)
        return secrets.sub("", url).rstrip("?&") if secrets else url

    return strip


def _decoded(text: str) -> str:
    """`text` without its percent-encoding and the escapes of JSON."""
    for _ in range(ENCODINGS):
        if "\\" in text:
            text = _JSON_ESCAPE.sub(_unescaped, text)
        elif "%" not in text:
            break
        text = unquote(text)
    return text


def _spaced(text: str) -> str:
    """`text` with `+` as forms write a space: what is one or the other is taken for the same."""
    return text.replace("+", " ")


def _unescaped(match: re.Match[str]) -> str:
    r"""The characters of `\uXXXX` escapes (RFC 8259, 7); nothing for any other backslash."""
    units = (match[1] or "").lower().replace("\\u", "")
    return bytes.fromhex(units).decode("utf-16-be", "replace")


def _taken(text: str) -> str:
    """How a server takes a header that is UTF-8 for latin-1."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def _forms(char: str) -> str:
    """A pattern of the ways in which a character is written."""
    percent = "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
    taken = _taken(char)
    ways = {re.escape(way) for way in (char, "\\" + char, taken, json.dumps(char)[1:-1])}
    if char == " ":
        ways.add(re.escape("+"))  # as forms write it, and queries of links
    hex_ways = {
        re.escape(way)
        for way in (
            percent,
            json.dumps(taken)[1:-1] if taken != char else percent,
            f"\\u{ord(char):04x}",
        )
    }
    return f"(?:{'|'.join(sorted(ways))}|(?i:{'|'.join(sorted(hex_ways))}))"
