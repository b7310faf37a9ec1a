"""Every sink under its contract; another one joins by a line in `PLACES`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from worker.core.model import RECORDS, ChainState
from worker.core.ports import CommitRecords, OutputRoot, Sink
from worker.formats.ndjson import NdjsonEncoder
from worker.sinks.commit_records import FileCommitRecords
from worker.sinks.files import FilesSink, SinkLimits, area_of
from worker.sinks.files_root import FilesRoot
from worker.testing.memory_sink import (
    MemoryCommitRecords,
    MemoryRoot,
    MemorySink,
    MemoryStore,
)
from worker.testing.sink_contract import SinkContract, SinkPlace


class FilesPlace:
    """A directory. With `limits` of one open file and small blocks, every file has other parts."""

    def __init__(self, directory: Path, limits: SinkLimits | None = None) -> None:
        self._directory, self._limits = directory / "lake", limits or SinkLimits()

    def sink(self, chain: ChainState, *, kind: str = RECORDS, taken: bool = False) -> Sink:
        return FilesSink(
            self._directory,
            chain,
            lambda *_: NdjsonEncoder(),
            kind=kind,
            limits=self._limits,
            files_are_taken=taken,
        )

    def commits(self, chain: ChainState) -> CommitRecords:
        directory = self._directory / area_of(chain) / "commits"
        return FileCommitRecords(directory, chain.owner, chain.owners)

    def root(self, kind: str = RECORDS) -> OutputRoot:
        return FilesRoot(self._directory, kind)

    def put(self, name: str, data: bytes) -> None:
        (self._directory / name).write_bytes(data)

    def take(self, name: str) -> None:
        (self._directory / name).unlink()


class MemoryPlace:
    """A store in memory."""

    def __init__(self) -> None:
        self._store = MemoryStore()

    def sink(self, chain: ChainState, *, kind: str = RECORDS, taken: bool = False) -> Sink:
        return MemorySink(self._store, chain, kind=kind, files_are_taken=taken)

    def commits(self, chain: ChainState) -> CommitRecords:
        return MemoryCommitRecords(self._store, chain)

    def root(self, kind: str = RECORDS) -> OutputRoot:
        return MemoryRoot(self._store, kind)

    def put(self, name: str, data: bytes) -> None:
        self._store.names[name] = data

    def take(self, name: str) -> None:
        del self._store.names[name]


PLACES: dict[str, Callable[[Path], SinkPlace]] = {
    "files": FilesPlace,
    "files in small blocks": lambda path: FilesPlace(path, SinkLimits(block_bytes=1)),
    "memory": lambda path: MemoryPlace(),
}


class TestSinks(SinkContract):
    @pytest.fixture(params=PLACES)
    def place(self, request: pytest.FixtureRequest, tmp_path: Path) -> SinkPlace:
        return PLACES[request.param](tmp_path)
