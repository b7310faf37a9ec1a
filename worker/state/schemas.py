"""Schemas of registries as files, so that a restart goes on during an outage of the registry.

It is a cache: deleting it costs requests only.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

MAX_BYTES: Final = 4 * 1024 * 1024


class _Entry(msgspec.Struct, frozen=True):
    """What a file holds. `sha256` is that of the text, so that a torn file counts as none."""

    name: str
    sha256: str
    text: str


class SchemaFiles:
    """The `Store` of a registry client, below a directory that is made when it is needed.

    A text that cannot be written or read is as good as none: no error is raised.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def get(self, name: str) -> str | None:
        """The text that was put under this name; None where there is none."""
        return await asyncio.to_thread(self._read, name)

    async def put(self, name: str, text: str) -> None:
        """Keeps a text under a name, in place of the one before."""
        await asyncio.to_thread(self._write, name, text)

    def _path(self, name: str) -> Path:
        return self._directory / f"{sha256(name.encode()).hexdigest()}.json"

    def _read(self, name: str) -> str | None:
        try:
            with self._path(name).open("rb") as file:
                entry = msgspec.json.decode(file.read(MAX_BYTES), type=_Entry)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return entry.text if entry.name == name and entry.sha256 == _digest(entry.text) else None

    def _write(self, name: str, text: str) -> None:
        path = self._path(name)
        draft = path.with_name(f".{secrets.token_hex(8)}")
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft.write_bytes(msgspec.json.encode(_Entry(name, _digest(text), text)))
            os.replace(draft, path)
        except OSError:
            draft.unlink(missing_ok=True)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
