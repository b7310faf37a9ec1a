"""Secrets that change while they are used, kept beside the commit log.

Each is a file of its own, for its user only. It is in no commit and in no checkpoint: whoever
reads the output, or makes a state from it, does not get it. A new version is written to another
file, made durable, and takes the name: a kill leaves one of both, whole.

A look at a source (`worker read`) uses and changes them beside a run, so a lock stands round each
use.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from worker.core.errors import StateError, TransientError
from worker.core.ports import Clock
from worker.runtime import fs
from worker.runtime.lock_file import holder_of, open_lock, take_lock

DIRECTORY: Final = "credentials"
VERSION: Final = 1
TRY_AGAIN_S: Final = 0.05
PATIENCE_S: Final = 60.0
"""How long another process may hold a secret: as long as a request to its endpoint may take."""
MOST_BYTES: Final = 1024 * 1024


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    v: int
    values: dict[str, str]


class KeptSecretFile:
    """One secret (see `KeptSecret` in worker/http/auth/__init__.py).

    Args:
        state: the directory of the state.
        name: of the file; letters and digits.
    """

    def __init__(self, state: Path, name: str, clock: Clock) -> None:
        self._directory, self._name, self._clock = state / DIRECTORY, name, clock

    @property
    def path(self) -> Path:
        return self._directory / f"{self._name}.json"

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        with fs.translated(self._directory):
            await asyncio.to_thread(self._make_directory)
            fd = open_lock(self._directory / f"{self._name}.lock")
        try:
            await self._take(fd)
            yield
        finally:
            os.close(fd)

    async def read(self) -> Mapping[str, str]:
        with fs.translated(self.path):
            data = self._read()
        if not data:
            return {}
        try:
            stored = msgspec.json.decode(data, type=_Stored)
        except msgspec.DecodeError as error:
            raise StateError(
                f"{self.path} is damaged: {error}",
                remedy="remove it, and put a new refresh token into the config",
            ) from error
        if stored.v > VERSION:
            raise StateError(
                f"{self.path} has format {stored.v}, which this version does not know",
                remedy=f"use the version that wrote it; this one knows formats up to {VERSION}",
            )
        return stored.values

    async def write(self, values: Mapping[str, str]) -> None:
        data = msgspec.json.encode(_Stored(VERSION, dict(values)))
        with fs.translated(self.path):
            await asyncio.to_thread(self._write, data)

    def _read(self) -> bytes:
        """What is kept; nothing where nothing is."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return b""
        with open(fd, "rb") as file:
            return file.read(MOST_BYTES)

    def _make_directory(self) -> None:
        fs.make_root(self._directory.parent)
        names = fs.DirectoryNames()
        names.make(self._directory.parent, DIRECTORY, mode=0o700)
        names.sync()

    def _write(self, data: bytes) -> None:
        fresh = self._directory / f"{self._name}.new"
        fresh.unlink(missing_ok=True)  # what a kill left, which may have the mode of somebody else
        fs.write_durably(fresh, data)
        os.replace(fresh, self.path)
        fs.fsync_dir(self._directory)

    async def _take(self, fd: int) -> None:
        deadline = self._clock.monotonic() + PATIENCE_S
        while not take_lock(fd, str(os.getpid())):
            if self._clock.monotonic() >= deadline:
                raise TransientError(
                    f"{self.path} is held by another process (pid {holder_of(fd) or 'unknown'})",
                    remedy="stop it, or wait until it has its answer",
                )
            await self._clock.sleep(TRY_AGAIN_S)
