"""The files sink: chunks collect in open files in staging; sealed files are durable but invisible.

Staging is below the output root, on the same file system: `<root>/.worker/<lineage>/<pipeline>/`
has `staging/<owner>/` and, in the root of the records, `commits/` with the record of each commit. A
published file is `<route>/<pipeline>-<lineage>-<seq>-<part>.<ext>`.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import Field

from worker.config.effects import Effect
from worker.config.scalars import Whole
from worker.core.errors import StateError
from worker.core.matching import refuse_unknown, unproven
from worker.core.model import RECORDS, ChainState, Chunk, Root, StagedFile
from worker.core.ports import Swept
from worker.core.roots import area_of
from worker.formats.component import Encoder
from worker.runtime import fs
from worker.sinks.chain_root import ChainRoot, root_before
from worker.sinks.commit_records import FileCommitRecords
from worker.sinks.config import MakeEncoder, SinkConfig, SinkDeps
from worker.sinks.files_root import FilesRoot, lineages_in, published_lineages
from worker.sinks.used_roots import UsedRoots

Key = tuple[str, str, int | None]
"""Route, fingerprint, group: records of different keys never share a file."""


class Config(SinkConfig):
    """Files below a directory."""

    type: Literal["files"] = Field("files", description="kind of sink")
    max_open_files: Whole = Field(64, ge=1, description="open files at once")
    effects: ClassVar[tuple[Effect, ...]] = (
        Effect(
            "max_open_files",
            lambda sink: sink.partition_by is not None,
            "without partition_by the records of a pipeline go into one file at a time",
            "it counts with partition_by",
        ),
    )
    max_files_per_commit: Whole = Field(
        10_000, ge=1, description="files of one commit; as many are committed at the next position"
    )


def build(config: Config, deps: SinkDeps) -> FilesSink:
    """The sink of the records of a pipeline."""
    limits = SinkLimits(
        open_files=config.max_open_files,
        file_bytes=config.roll.bytes,
        commit_files=config.max_files_per_commit,
    )
    return FilesSink(
        config.path,
        deps.chain,
        deps.encoder,
        limits=limits,
        files_are_taken=config.files_are_taken,
        used=deps.used,
    )


def commits(config: Config, deps: SinkDeps) -> FileCommitRecords:
    """The records of the commits of a pipeline."""
    area = f"{area_of(deps.chain)}/commits"

    def before() -> Path | None:
        root = root_before(config.path, RECORDS, deps.chain)
        return None if root is None else root / area

    directory = config.path.absolute() / area
    return FileCommitRecords(directory, deps.chain.owner, deps.chain.owners, before)


def root(config: Config, places: Mapping[str, str]) -> FilesRoot:
    """The directory as commands see it."""
    return FilesRoot(config.path, RECORDS, places)


class _OpenFile:
    """A file in staging that still grows."""

    def __init__(self, path: Path, final: str, key: Key, encoder: Encoder, mode: int) -> None:
        self.path, self.final, self.key, self._encoder = path, final, key, encoder
        self.rows = self.size_bytes = self.pending_bytes = 0
        self._pending: list[bytes] = []
        self._pending_rows = 0
        self._sha256 = hashlib.sha256()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            self._write(encoder.header())
        except BaseException:
            self.close()  # nobody else knows of it yet
            raise

    def add(self, chunk: Chunk) -> None:
        self._pending.append(chunk.data)
        self._pending_rows += chunk.rows
        self.pending_bytes += len(chunk.data)
        self.rows += chunk.rows

    def flush(self) -> None:
        if self._pending_rows:
            self._write(self._encoder.block(self._pending_rows, b"".join(self._pending)))
            self._pending, self._pending_rows, self.pending_bytes = [], 0, 0

    def _write(self, data: bytes) -> None:
        if not data:
            return
        fs.write_all(self._fd, data)
        self._sha256.update(data)
        self.size_bytes += len(data)

    def seal(self) -> str:
        """Durable and closed; returns its sha256."""
        self.flush()
        self._write(self._encoder.footer())
        try:
            fs.fsync(self._fd, self.path)
        finally:
            self.close()
        return self._sha256.hexdigest()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@dataclass(frozen=True, slots=True)
class SinkLimits:
    """What a sink may hold.

    Attributes:
        open_files: so many at once; then the file that was not written to for longest is sealed.
        file_bytes: a file of this size is sealed and the next part is begun.
        block_bytes: a file holds back at most this much before it compresses and writes.
        held_bytes: all open files together hold back at most this much. Small blocks cost time
            and compress badly.
        commit_files: a commit of so many files is due.
    """

    open_files: int = 64
    file_bytes: int = 128 * 1024 * 1024
    block_bytes: int = 256 * 1024
    held_bytes: int = 8 * 1024 * 1024
    commit_files: int = 10_000


DEFAULT_LIMITS: Final = SinkLimits()


KEPT_OWNERS: Final = 20
"""Directories of so many earlier owners stay, though they are empty: one that was only suspended
finds where to write, and learns from the commit log that it is over."""


class FilesSink:
    """See the `Sink` port for the methods that have no docstring here.

    Args:
        root: output directory; created when missing.
        chain: what the sink writes for, with the owner that writes.
        encoder: makes the encoder of a new file from (fingerprint, seq, group).
        mode: permissions of a file.
        files_are_taken: consumers may take files away as soon as they are published.
        used: the roots of this process; None where nobody else is there, as in a test.
    """

    def __init__(
        self,
        root: Path,
        chain: ChainState,
        encoder: MakeEncoder,
        *,
        kind: str = RECORDS,
        limits: SinkLimits = DEFAULT_LIMITS,
        mode: int = 0o644,
        files_are_taken: bool = False,
        used: UsedRoots | None = None,
    ) -> None:
        self.kind = kind
        self._root, self._chain = root.absolute(), chain
        self._place = ChainRoot(root, kind, chain, used)
        self._seq, self._encoder, self._limits, self._mode = chain.seq + 1, encoder, limits, mode
        self._files_are_taken = files_are_taken
        self._area = area_of(chain)
        self._own = f"{self._area}/staging/{chain.owner}"
        self._staging = self._root / self._own
        self._open: OrderedDict[Key, _OpenFile] = OrderedDict()
        self._sealed: list[StagedFile] = []
        self._parts = 0
        self._pending_bytes = 0

    def __repr__(self) -> str:
        return (
            f"<FilesSink {self.kind} {self._chain.pipeline} seq={self._seq}"
            f" open={len(self._open)} sealed={len(self._sealed)}>"
        )

    # -- the start of an attempt -----------------------------------------------------------------

    def prepare(self, accepted_lineages: Sequence[str]) -> Root:
        with fs.translated(self._root):
            self._place.look()
            pipeline, known = self._chain.pipeline, {self._chain.lineage, *accepted_lineages}
            lineages = lineages_in(self._root, pipeline)
            if self._place.is_new:
                lineages += published_lineages(self._root, pipeline)
            refuse_unknown(str(self._root), pipeline, lineages, known)
            fs.make_root(self._root)
            root = self._place.enter()
            fs.make_dirs(self._root, self._own, 0o700)
            if self.kind == RECORDS:
                fs.make_dirs(self._root, f"{self._area}/commits", 0o700)
            return root

    def check(self, seq: int, file: StagedFile) -> None:
        staged = self._place.of(file) / file.staging
        with fs.translated(staged):
            if not staged.exists():
                self._refuse_unproven(seq, file)
            elif not _is(staged, file):
                raise StateError(
                    f"{staged} is not the file that was committed",
                    remedy="restore it, or read and write everything again: `worker state reset"
                    f" CONFIG --pipeline {self._chain.pipeline}`",
                )

    def _refuse_unproven(self, seq: int, file: StagedFile) -> None:
        """Raises Unproven where a file that is not staged does not have its final name either."""
        root = self._place.of(file)
        final = root / file.final
        if _is(final, file):
            return
        if self._files_are_taken and _marker((root / file.staging).parent, seq).exists():
            return
        self._place.refuse_absent(file)
        raise unproven(seq, file, str(root), str(final), self._chain.pipeline)

    def settle(self, seq: int) -> None:
        if self._files_are_taken:
            with fs.translated(self._staging):
                _marker(self._staging, seq).unlink(missing_ok=True)

    def sweep(self, owners: Sequence[str]) -> Swept:
        swept = [self._swept(self._root, owners)]
        if self._place.before is not None:
            swept.append(self._swept(self._place.before, owners))
        return Swept(
            sum(each.files for each in swept),
            tuple(sorted({owner for each in swept for owner in each.foreign})),
        )

    def _swept(self, root: Path, owners: Sequence[str]) -> Swept:
        staging, files, foreign = root / self._area / "staging", 0, []
        known, old = {self._chain.owner, *owners}, frozenset(owners[:-KEPT_OWNERS])
        with fs.translated(staging):
            for path in sorted(staging.iterdir()):
                if not path.is_dir():  # of a state of a format before 4
                    path.unlink(missing_ok=True)
                    files += 1
                elif path.name not in known:
                    foreign.append(path.name)
                else:
                    files += _emptied(path)
                    if path.name in old:
                        fs.remove_if_empty(path)
        return Swept(files, tuple(foreign))

    # -- a commit in the making ------------------------------------------------------------------

    @property
    def full(self) -> bool:
        return self._parts >= self._limits.commit_files

    def begin(self, seq: int) -> None:
        self._seq, self._parts, self._sealed = seq, 0, []

    def collect(self, chunk: Chunk) -> bool:
        key, size_bytes = (chunk.route, chunk.fingerprint, chunk.group), len(chunk.data)
        file = self._open.get(key)
        if (
            file is None
            or file.pending_bytes + size_bytes >= self._limits.block_bytes
            or self._pending_bytes + size_bytes > self._limits.held_bytes
        ):
            return False
        self._hold_back(file, chunk)
        return True

    def write(self, chunk: Chunk) -> None:
        try:  # not `fs.translated`: with many routes this is called for every few records
            self._add(chunk)
        except OSError as error:
            raise fs.translate(error, self._root) from error

    def _add(self, chunk: Chunk) -> None:
        key = (chunk.route, chunk.fingerprint, chunk.group)
        file = self._open.get(key)
        if file is None:
            file = self._create(key)
        self._hold_back(file, chunk)
        if file.pending_bytes >= self._limits.block_bytes:
            self._flush(file)
        while self._pending_bytes > self._limits.held_bytes:
            self._flush(max(self._open.values(), key=lambda each: each.pending_bytes))
        if file.size_bytes >= self._limits.file_bytes:
            self._seal(file)

    def _hold_back(self, file: _OpenFile, chunk: Chunk) -> None:
        self._open.move_to_end(file.key)
        file.add(chunk)
        self._pending_bytes += len(chunk.data)

    def _create(self, key: Key) -> _OpenFile:
        if len(self._open) >= self._limits.open_files:
            oldest = next(iter(self._open.values()))  # not written to for longest
            self._seal(oldest)
        if self._files_are_taken and not self._parts:
            fs.write_durably(_marker(self._staging, self._seq), b"")
        self._parts += 1
        encoder = self._encoder(key[1], self._seq, key[2])
        prefix = f"{self._chain.pipeline}-{self._chain.lineage}"
        name = f"{prefix}-{self._seq:012}-{self._parts:04}.{encoder.ext}"
        final = f"{key[0]}/{name}" if key[0] else name
        file = self._open[key] = _OpenFile(self._staging / name, final, key, encoder, self._mode)
        return file

    def _flush(self, file: _OpenFile) -> None:
        self._pending_bytes -= file.pending_bytes
        file.flush()

    def _seal(self, file: _OpenFile) -> None:
        self._pending_bytes -= file.pending_bytes
        sha256 = file.seal()  # what cannot be sealed is still closed with the others
        del self._open[file.key]
        self._sealed.append(
            StagedFile(
                kind=self.kind,
                root=str(self._root),
                staging=f"{self._own}/{file.path.name}",
                final=file.final,
                size_bytes=file.size_bytes,
                sha256=sha256,
                rows=file.rows,
                fingerprint=file.key[1],
                root_id=self._place.id,
            )
        )

    def leave(self, group: int) -> None:
        with fs.translated(self._root):
            for file in list(self._open.values()):
                if file.key[2] is not None and file.key[2] < group:
                    self._seal(file)

    def seal(self) -> tuple[StagedFile, ...]:
        with fs.translated(self._root):
            for file in list(self._open.values()):
                self._seal(file)
            if self._sealed:
                fs.fsync_dir(self._staging)
        return tuple(self._sealed)

    def close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()

    # -- round the commit point ------------------------------------------------------------------

    def publish(self, seq: int, files: Sequence[StagedFile]) -> None:
        with fs.translated(self._root):
            names, parents = fs.DirectoryNames(), []
            for file in files:
                root = self._place.of(file)
                final = root / file.final
                if (root / file.staging).exists() or final.parent.is_dir():
                    names.make(root, str(Path(file.final).parent))
                    parents.append(final.parent)
            names.sync()  # a directory that a power loss takes away takes what was moved there, too
            for file in files:
                root = self._place.of(file)
                staged = root / file.staging
                if not (staged.exists() and _published(staged, root / file.final, file)):
                    self._refuse_unproven(seq, file)
            names.sync(parents)


def _marker(staging: Path, seq: int) -> Path:
    """Stands beside staged files while all files of their commit are untouched, or published:
    whatever cleans up by age takes it before them.
    """
    return staging / f"{seq:012}.intact"


def _published(staged: Path, final: Path, file: StagedFile) -> bool:
    """Gives a staged file its final name; False where another owner did the same, and was
    quicker.
    """
    try:
        fs.publish(staged, final, file.sha256)
    except FileNotFoundError:
        if staged.exists():  # a cleaner took the directory of the final name
            raise
        return False
    return True


def _is(path: Path, file: StagedFile) -> bool:
    """Whether what stands there is the committed file."""
    try:
        return path.stat().st_size == file.size_bytes and fs.sha256_of(path) == file.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False


def _emptied(directory: Path) -> int:
    """Deletes what is in a directory of staging; returns how many files that were."""
    left = list(_files_in(directory))
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def _files_in(directory: Path) -> Iterator[Path]:
    """None where the directory is gone: two owners may sweep at once."""
    try:
        yield from directory.iterdir()
    except FileNotFoundError:
        return
