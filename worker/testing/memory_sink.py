"""A sink that keeps its files in memory: the whole Sink and OutputRoot ports, for tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final

from worker.core.errors import ConfigError, PublishConflict, StateError
from worker.core.model import RECORDS, Chunk, StagedFile
from worker.core.ports import Evidence, FileState

MAX_FILES: Final = 10_000
_HIDDEN: Final = ".worker"

Key = tuple[str, str, int | None]
"""Route, fingerprint, group: records of different keys never share a file."""


class MemoryStore:
    """What sinks and roots over it share, as they share a directory or a bucket.

    Attributes:
        names: content of everything that is there, published or not.
        areas: (lineage, pipeline) of all sinks that were prepared over it.
    """

    def __init__(self, url: str = "memory://lake") -> None:
        self.url = url
        self.names: dict[str, bytes] = {}
        self.areas: set[tuple[str, str]] = set()

    @property
    def published(self) -> list[str]:
        """What a plain listing shows."""
        return sorted(name for name in self.names if not name.startswith(_HIDDEN))


class MemorySink:
    """See the `Sink` port for the methods. A file is the data of its chunks, one after the other.

    Args:
        seq: of the first commit that is made.
        max_files: a commit of so many files is due.
    """

    def __init__(
        self,
        store: MemoryStore,
        pipeline: str,
        lineage: str,
        seq: int,
        *,
        kind: str = RECORDS,
        max_files: int = MAX_FILES,
    ) -> None:
        self.kind = kind
        self._store, self._pipeline, self._lineage, self._seq = store, pipeline, lineage, seq
        self._max_files = max_files
        self._area = f"{_HIDDEN}/{lineage}/{pipeline}"
        self._open: dict[Key, list[Chunk]] = {}

    @property
    def full(self) -> bool:
        return len(self._open) >= self._max_files

    def prepare(self, accepted_lineages: Sequence[str]) -> None:
        known = {self._lineage, *accepted_lineages}
        found = {lineage for lineage, name in self._store.areas if name == self._pipeline}
        if unknown := sorted(found - known):
            raise ConfigError(f"{self._store.url} holds files of lineage {', '.join(unknown)}")
        self._store.areas.add((self._lineage, self._pipeline))

    def check(self, file: StagedFile) -> None:
        staged = self._store.names.get(file.staging)
        if staged is not None and sha256(staged).hexdigest() != file.sha256:
            raise StateError(f"{file.staging} is not the file that was committed")

    def publish(self, files: Sequence[StagedFile]) -> None:
        names = self._store.names
        for file in files:
            if (staged := names.get(file.staging)) is None:
                continue
            if names.get(file.final, staged) != staged:
                raise PublishConflict(f"{file.final} exists with another content")
            names[file.final] = staged
            del names[file.staging]

    def sweep(self) -> int:
        left = [name for name in self._store.names if name.startswith(f"{self._area}/staging/")]
        for name in left:
            del self._store.names[name]
        return len(left)

    def write(self, chunk: Chunk) -> None:
        self._open.setdefault((chunk.route, chunk.fingerprint, chunk.group), []).append(chunk)

    def seal(self) -> tuple[StagedFile, ...]:
        return tuple(self._staged(part, *each) for part, each in enumerate(self._open.items(), 1))

    def _staged(self, part: int, key: Key, chunks: Sequence[Chunk]) -> StagedFile:
        route, fingerprint, _ = key
        name = f"{self._pipeline}-{self._lineage}-{self._seq:012}-{part:04}.{self.kind}"
        data = b"".join(chunk.data for chunk in chunks)
        file = StagedFile(
            kind=self.kind,
            root=self._store.url,
            staging=f"{self._area}/staging/{name}",
            final=f"{route}/{name}" if route else name,
            size_bytes=len(data),
            sha256=sha256(data).hexdigest(),
            rows=sum(chunk.rows for chunk in chunks),
            fingerprint=fingerprint,
        )
        self._store.names[file.staging] = data
        return file

    def stage_record(self, seq: int, record: bytes) -> None:
        self._store.names[self._record(seq)] = record

    def drop_record(self, seq: int) -> None:
        self._store.names.pop(self._record(seq), None)

    def _record(self, seq: int) -> str:
        return f"{self._area}/commits/{seq:012}.json"

    def begin(self, seq: int) -> None:
        self._seq, self._open = seq, {}

    def close(self) -> None:
        self._open = {}


class MemoryRoot:
    """See the `OutputRoot` port for the methods. Every record or dead letter is a line."""

    def __init__(self, store: MemoryStore, kind: str = RECORDS) -> None:
        self.kind, self._store = kind, store

    def __str__(self) -> str:
        return self._store.url

    def place(self, file: StagedFile) -> str:
        return self._place(file.final)

    def _place(self, name: str) -> str:
        return f"{self._store.url}/{name}"

    def standing(self, file: StagedFile) -> FileState:
        if file.final in self._store.names:
            return FileState.PUBLISHED
        return FileState.STAGED if file.staging in self._store.names else FileState.GONE

    def examine(self, file: StagedFile) -> Evidence:
        data = self._store.names.get(file.final)
        if data is None:
            return Evidence(problem="cannot be read: it is not there")
        return Evidence(
            rows=len(data.splitlines()), size_bytes=len(data), sha256=sha256(data).hexdigest()
        )

    def lines(self, file: StagedFile) -> Iterator[bytes]:
        yield from self._store.names.get(file.final, b"").splitlines(keepends=True)

    def delete(self, file: StagedFile) -> None:
        self._store.names.pop(file.final, None)

    def listing(self, pipeline: str, lineage: str) -> Iterator[str]:
        for name in self._store.published:
            if name.rpartition("/")[2].startswith(f"{pipeline}-{lineage}-"):
                yield self._place(name)

    def lineages(self, pipeline: str) -> list[str]:
        return sorted(lineage for lineage, name in self._store.areas if name == pipeline)
