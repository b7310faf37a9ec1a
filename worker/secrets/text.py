"""The text of a secret, as commands and services give it."""

from __future__ import annotations

from typing import Final

import msgspec

from worker.config.secrets import SECRET_BYTES
from worker.core.errors import SecretRefused

TIMEOUT_S: Final = 10.0
"""Of one request to a service, to connect and to answer."""


def text_of(data: bytes, shown: str) -> str:
    """A secret without the line ends behind it. Raises SecretRefused for what is none."""
    try:
        text = data.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise SecretRefused(f"{shown}: the secret is no UTF-8 text") from error
    if not text or len(data) > SECRET_BYTES:
        raise SecretRefused(f"{shown}: the secret is {'longer than 64 KiB' if text else 'empty'}")
    return text


def key_of(reference: str) -> tuple[str, str]:
    """(name, key) of a reference `name#key`; the key is empty where there is none."""
    name, _, key = reference.partition("#")
    return name, key


def value_in(text: str, key: str, shown: str) -> str:
    """The value under a key of a secret that is a JSON object; the whole text without a key."""
    if not key:
        return text_of(text.encode(), shown)
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise SecretRefused(
            f"{shown}: the secret is no JSON object, so it has no key",
            remedy="take # and the key out of the reference",
        )
    return value_under(document, key, shown)


def value_under(document: dict[str, object], key: str, shown: str) -> str:
    """The text under a key. Raises SecretRefused, which names the key and no other."""
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int):
        why = "is no text" if key in document else "is not there"
        raise SecretRefused(
            f"{shown}: the key {key} {why}", remedy="correct the key behind # of the reference"
        )
    return text_of(str(value).encode(), shown)
