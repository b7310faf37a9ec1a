"""A sink that keeps its files in memory: the whole Sink and OutputRoot ports, for tests."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from hashlib import sha256
from typing import Final

from worker.core.digest import proof_of, record_head
from worker.core.errors import ConfigError, Fenced, PublishConflict, StateError, Unproven
from worker.core.model import (
    RECORDS,
    ChainRow,
    ChainState,
    Chunk,
    CommitRow,
    Root,
    StagedFile,
)
from worker.core.names import lineage_of
from worker.core.ports import Evidence, FileState, Swept
from worker.core.roots import HIDDEN as _HIDDEN
from worker.core.roots import Sight, decide, known_to, refuse

MAX_FILES: Final = 10_000

Key = tuple[str, str, int | None]
"""Route, fingerprint, group: records of different keys never share a file."""


class MemoryStore:
    """What sinks and roots over it share, as they share a directory or a bucket.

    Attributes:
        id: which root it is.
        names: content of everything that is there, published or not.
        areas: (lineage, pipeline) of all sinks that were prepared over it.
    """

    def __init__(self, url: str = "memory://lake") -> None:
        self.url, self.id = url, secrets.token_hex(8)
        self.names: dict[str, bytes] = {}
        self.areas: set[tuple[str, str]] = set()

    @property
    def published(self) -> list[str]:
        """What a plain listing shows."""
        return sorted(name for name in self.names if not name.startswith(_HIDDEN))

    def published_lineages(self, pipeline: str) -> list[str]:
        """See the `OutputRoot` port."""
        found = {lineage_of(name, pipeline) for name in self.published}
        return sorted(lineage for lineage in found if lineage is not None)

    def sight(self, chain: ChainState | ChainRow) -> Sight:
        """What is found here of the root of a chain."""
        return Sight(id=self.id, area=(chain.lineage, chain.pipeline) in self.areas)


class MemorySink:
    """See the `Sink` port for the methods. A file is the data of its chunks, one after the other.

    Args:
        max_files: a commit of so many files is due.
        files_are_taken: consumers may take files away as soon as they are published.
    """

    def __init__(
        self,
        store: MemoryStore,
        chain: ChainState,
        *,
        kind: str = RECORDS,
        max_files: int = MAX_FILES,
        files_are_taken: bool = False,
    ) -> None:
        self.kind = kind
        self._store, self._chain, self._seq = store, chain, chain.seq + 1
        self._pipeline, self._lineage = chain.pipeline, chain.lineage
        self._max_files, self._files_are_taken = max_files, files_are_taken
        self._area = f"{_HIDDEN}/{self._lineage}/{self._pipeline}/staging"
        self._staging = f"{self._area}/{chain.owner}"
        self._open: dict[Key, list[Chunk]] = {}

    @property
    def full(self) -> bool:
        return len(self._open) >= self._max_files

    def prepare(self, accepted_lineages: Sequence[str]) -> Root:
        here = self._store.sight(self._chain)
        kept, has_commits = known_to(self._chain, self.kind), self._chain.last is not None
        decision = decide(kept, self._store.url, here=here, there=Sight(), has_commits=has_commits)
        refuse(decision, self._pipeline, kept, self._store.url, here)
        known = {self._lineage, *accepted_lineages}
        found = {lineage for lineage, name in self._store.areas if name == self._pipeline}
        if kept is None and not has_commits:
            found.update(self._store.published_lineages(self._pipeline))
        if unknown := sorted(found - known):
            raise ConfigError(f"{self._store.url} holds files of lineage {', '.join(unknown)}")
        self._store.areas.add((self._lineage, self._pipeline))
        return Root(path=self._store.url, id=self._store.id)

    def check(self, seq: int, file: StagedFile) -> None:
        staged = self._store.names.get(file.staging)
        if staged is None:
            self._refuse_unproven(seq, file)
        elif sha256(staged).hexdigest() != file.sha256:
            raise StateError(f"{file.staging} is not the file that was committed")

    def _refuse_unproven(self, seq: int, file: StagedFile) -> None:
        final = self._store.names.get(file.final)
        if final is not None and sha256(final).hexdigest() == file.sha256:
            return
        if self._files_are_taken and self._marker(file, seq) in self._store.names:
            return
        raise Unproven(f"{file.final} is nowhere")

    def _marker(self, file: StagedFile, seq: int) -> str:
        return f"{file.staging.rpartition('/')[0]}/{seq:012}.intact"

    def publish(self, seq: int, files: Sequence[StagedFile]) -> None:
        names = self._store.names
        for file in files:
            if (staged := names.get(file.staging)) is None:
                self._refuse_unproven(seq, file)
                continue
            if names.get(file.final, staged) != staged:
                raise PublishConflict(f"{file.final} exists with another content")
            names[file.final] = staged
            del names[file.staging]

    def settle(self, seq: int) -> None:
        self._store.names.pop(f"{self._staging}/{seq:012}.intact", None)

    def sweep(self, owners: Sequence[str]) -> Swept:
        known = {self._chain.owner, *owners}
        swept, foreign = [], set()
        for name in self._store.names:
            if name.startswith(f"{self._area}/"):
                owner = name.removeprefix(f"{self._area}/").partition("/")[0]
                if owner in known:
                    swept.append(name)
                else:
                    foreign.add(owner)
        for name in swept:
            del self._store.names[name]
        return Swept(len(swept), tuple(sorted(foreign)))

    def collect(self, chunk: Chunk) -> bool:
        if (chunks := self._open.get((chunk.route, chunk.fingerprint, chunk.group))) is None:
            return False
        chunks.append(chunk)
        return True

    def write(self, chunk: Chunk) -> None:
        self._open.setdefault((chunk.route, chunk.fingerprint, chunk.group), []).append(chunk)

    def leave(self, group: int) -> None:
        """Files in memory need not be closed."""

    def seal(self) -> tuple[StagedFile, ...]:
        return tuple(self._staged(part, *each) for part, each in enumerate(self._open.items(), 1))

    def _staged(self, part: int, key: Key, chunks: Sequence[Chunk]) -> StagedFile:
        route, fingerprint, _ = key
        name = f"{self._pipeline}-{self._lineage}-{self._seq:012}-{part:04}.{self.kind}"
        data = b"".join(chunk.data for chunk in chunks)
        file = StagedFile(
            kind=self.kind,
            root=self._store.url,
            staging=f"{self._staging}/{name}",
            final=f"{route}/{name}" if route else name,
            size_bytes=len(data),
            sha256=sha256(data).hexdigest(),
            rows=sum(chunk.rows for chunk in chunks),
            fingerprint=fingerprint,
            root_id=self._store.id,
        )
        self._store.names[file.staging] = data
        if self._files_are_taken:
            self._store.names[self._marker(file, self._seq)] = b""
        return file

    def begin(self, seq: int) -> None:
        self._seq, self._open = seq, {}

    def close(self) -> None:
        self._open = {}


class MemoryCommitRecords:
    """See the `CommitRecords` port for the methods."""

    def __init__(self, store: MemoryStore, chain: ChainState | ChainRow) -> None:
        ours = {chain.owner, *chain.owners} if isinstance(chain, ChainState) else set()
        self._names, self._ours = store.names, ours
        self._area = f"{_HIDDEN}/{chain.lineage}/{chain.pipeline}/commits"
        self._checkpoints = f"{_HIDDEN}/{chain.lineage}/{chain.pipeline}/checkpoints"

    def newest(self) -> int:
        return max(self.seqs(), default=0)

    def proven(self, seq: int) -> bytes | None:
        return self._names.get(f"{self._area}/{seq:012}.json")

    def staged(self, seq: int) -> bytes | None:
        return self._names.get(f"{self._area}/{seq:012}.open")

    def stage(self, seq: int, record: bytes) -> None:
        if self.proven(seq) is not None or _is_foreign(self.staged(seq), self._ours):
            raise Fenced
        self._names[f"{self._area}/{seq:012}.open"] = record

    def prove(self, seq: int) -> None:
        staged = self.staged(seq)
        if staged is None or _is_foreign(staged, self._ours):
            raise Fenced
        self._names[f"{self._area}/{seq:012}.json"] = staged
        del self._names[f"{self._area}/{seq:012}.open"]

    def bring(self, seq: int, record: bytes) -> None:
        self._names.setdefault(f"{self._area}/{seq:012}.json", record)

    def drop(self, seq: int) -> None:
        self._names.pop(f"{self._area}/{seq:012}.json", None)

    def seqs(self) -> list[int]:
        return _numbers(self._names, f"{self._area}/", ".json")

    def size_after(self, seq: int) -> int:
        return sum(len(self.proven(each) or b"") for each in self.seqs() if each > seq)

    def delete(self, seqs: Sequence[int]) -> None:
        for seq in seqs:
            self.drop(seq)

    def checkpoints(self) -> dict[int, int]:
        found = _numbers(self._names, f"{self._checkpoints}/", ".json.gz")
        return {seq: len(self.read_checkpoint(seq) or b"") for seq in found}

    def read_checkpoint(self, seq: int) -> bytes | None:
        return self._names.get(f"{self._checkpoints}/{seq:012}.json.gz")

    def write_checkpoint(self, seq: int, data: bytes) -> None:
        self._names[f"{self._checkpoints}/{seq:012}.json.gz"] = data
        for older in list(self.checkpoints())[:-2]:
            del self._names[f"{self._checkpoints}/{older:012}.json.gz"]

    def sweep(self) -> int:
        return 0


def _numbers(names: Collection[str], before: str, after: str) -> list[int]:
    found = (name for name in names if name.startswith(before) and name.endswith(after))
    return sorted(int(name.removeprefix(before).removesuffix(after)) for name in found)


def _is_foreign(record: bytes | None, ours: Collection[str]) -> bool:
    head = None if record is None else record_head(record)
    return head is not None and head.owner not in ours


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
        if file.staging in self._store.names:
            return FileState.STAGED
        return FileState.GONE

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

    def published_lineages(self, pipeline: str) -> list[str]:
        return self._store.published_lineages(pipeline)

    def sight(self, chain: ChainRow, path: str = "") -> Sight:
        return Sight() if path else self._store.sight(chain)

    def newest(self, chain: ChainRow, path: str = "") -> int:
        return self._commits(chain).newest()

    def record(self, chain: ChainRow, seq: int, path: str = "") -> bytes | None:
        commits = self._commits(chain)
        return commits.proven(seq) or commits.staged(seq)

    def adopt(self, chain: ChainRow | None, last: CommitRow | None, root_id: str) -> Root:
        if chain is not None and last is not None:
            self._store.areas.add((chain.lineage, chain.pipeline))
            self._commits(chain).bring(last.seq, proof_of(last))
        return Root(path=self._store.url, id=self._store.id)

    def publish(self, file: StagedFile) -> None:
        self._store.names[file.final] = self._store.names.pop(file.staging)

    def _commits(self, chain: ChainRow) -> MemoryCommitRecords:
        return MemoryCommitRecords(self._store, chain)

    def head(self, place: str) -> bytes:
        data = self._store.names.get(place.removeprefix(f"{self._store.url}/"), b"")
        return data.partition(b"\n")[0] + b"\n" if data else b""

    def remove(self, place: str) -> None:
        self._store.names.pop(place.removeprefix(f"{self._store.url}/"), None)

    def forget(self, pipeline: str, lineage: str) -> None:
        area = f"{_HIDDEN}/{lineage}/{pipeline}/"
        for name in [each for each in self._store.names if each.startswith(area)]:
            del self._store.names[name]
        self._store.areas.discard((lineage, pipeline))
