"""The files sink: chunks collect in open files in staging; sealed files are durable but invisible.

Staging is below the output root, on the same file system: `<root>/.worker/<lineage>/<pipeline>/`
has `staging/` and, in the root of the records, `commits/` with the record of each commit. A
published file is `<route>/<pipeline>-<lineage>-<seq>-<part>.<ext>`.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import Field

from worker.config.effects import Effect
from worker.config.scalars import Whole
from worker.core.errors import ConfigError, StateError
from worker.core.model import RECORDS, Chunk, StagedFile
from worker.formats.component import Encoder
from worker.runtime import fs
from worker.sinks.config import MakeEncoder, SinkConfig, SinkDeps
from worker.sinks.files_root import HIDDEN, FilesRoot, lineages_in

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
        config.path, deps.pipeline, deps.lineage, deps.seq, deps.encoder, limits=limits
    )


def root(config: Config) -> FilesRoot:
    """The directory as commands see it."""
    return FilesRoot(config.path.absolute(), RECORDS)


class _OpenFile:
    """A file in staging that still grows."""

    def __init__(self, path: Path, final: str, key: Key, encoder: Encoder, mode: int) -> None:
        self.path, self.final, self.key, self._encoder = path, final, key, encoder
        self.rows = self.size_bytes = self.pending_bytes = 0
        self._pending: list[bytes] = []
        self._pending_rows = 0
        self._sha256 = hashlib.sha256()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        self._write(encoder.header())

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


class FilesSink:
    """See the `Sink` port for the methods that have no docstring here.

    Args:
        root: output directory; created when missing.
        seq: of the first commit that is made.
        encoder: makes the encoder of a new file from (fingerprint, seq, group).
        mode: permissions of a file.
    """

    def __init__(
        self,
        root: Path,
        pipeline: str,
        lineage: str,
        seq: int,
        encoder: MakeEncoder,
        *,
        kind: str = RECORDS,
        limits: SinkLimits = DEFAULT_LIMITS,
        mode: int = 0o644,
    ) -> None:
        self.kind = kind
        self._root, self._pipeline, self._lineage = root.absolute(), pipeline, lineage
        self._seq, self._encoder, self._limits, self._mode = seq, encoder, limits, mode
        self._area = f"{HIDDEN}/{lineage}/{pipeline}"
        self._staging = self._root / self._area / "staging"
        self._records = self._root / self._area / "commits"
        self._open: OrderedDict[Key, _OpenFile] = OrderedDict()
        self._sealed: list[StagedFile] = []
        self._parts = 0
        self._pending_bytes = 0

    def __repr__(self) -> str:
        return (
            f"<FilesSink {self.kind} {self._pipeline} seq={self._seq}"
            f" open={len(self._open)} sealed={len(self._sealed)}>"
        )

    # -- the start of an attempt -----------------------------------------------------------------

    def prepare(self, accepted_lineages: Sequence[str]) -> None:
        with fs.translated(self._root):
            fs.make_root(self._root)
            self._refuse_unknown({self._lineage, *accepted_lineages})
            fs.make_dirs(self._root, f"{self._area}/staging", 0o700)
            if self.kind == RECORDS:
                fs.make_dirs(self._root, f"{self._area}/commits", 0o700)

    def _refuse_unknown(self, known: Collection[str]) -> None:
        unknown = [name for name in lineages_in(self._root, self._pipeline) if name not in known]
        if unknown:
            raise ConfigError(
                f"{self._root} holds files of pipeline {self._pipeline!r} that this state knows"
                f" nothing of (lineage {', '.join(unknown)})",
                remedy="bring its state back, or say that they stay and everything is read again:"
                f" `worker state reset CONFIG --pipeline {self._pipeline}`",
            )

    def check(self, file: StagedFile) -> None:
        staged = Path(file.root) / file.staging
        with fs.translated(staged):
            if staged.exists() and (
                staged.stat().st_size != file.size_bytes or fs.sha256_of(staged) != file.sha256
            ):
                raise StateError(
                    f"{staged} is not the file that was committed",
                    remedy="restore it, or reset the pipeline",
                )

    def sweep(self) -> int:
        with fs.translated(self._staging):
            left = list(self._staging.iterdir())
            for path in left:
                path.unlink()
        return len(left)

    # -- a commit in the making ------------------------------------------------------------------

    @property
    def full(self) -> bool:
        return self._parts >= self._limits.commit_files

    def begin(self, seq: int) -> None:
        self._seq, self._parts, self._sealed = seq, 0, []

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
        self._open.move_to_end(key)
        file.add(chunk)
        self._pending_bytes += len(chunk.data)
        if file.pending_bytes >= self._limits.block_bytes:
            self._flush(file)
        while self._pending_bytes > self._limits.held_bytes:
            self._flush(max(self._open.values(), key=lambda each: each.pending_bytes))
        if file.size_bytes >= self._limits.file_bytes:
            self._seal(file)

    def _create(self, key: Key) -> _OpenFile:
        if len(self._open) >= self._limits.open_files:
            oldest = next(iter(self._open.values()))  # not written to for longest
            self._seal(oldest)
        self._parts += 1
        encoder = self._encoder(key[1], self._seq, key[2])
        name = f"{self._pipeline}-{self._lineage}-{self._seq:012}-{self._parts:04}.{encoder.ext}"
        final = f"{key[0]}/{name}" if key[0] else name
        file = self._open[key] = _OpenFile(self._staging / name, final, key, encoder, self._mode)
        return file

    def _flush(self, file: _OpenFile) -> None:
        self._pending_bytes -= file.pending_bytes
        file.flush()

    def _seal(self, file: _OpenFile) -> None:
        self._pending_bytes -= file.pending_bytes
        del self._open[file.key]
        sha256 = file.seal()
        self._sealed.append(
            StagedFile(
                kind=self.kind,
                root=str(self._root),
                staging=f"{self._area}/staging/{file.path.name}",
                final=file.final,
                size_bytes=file.size_bytes,
                sha256=sha256,
                rows=file.rows,
                fingerprint=file.key[1],
            )
        )

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

    def stage_record(self, seq: int, record: bytes) -> None:
        path = self._record(seq)
        with fs.translated(path):
            fs.write_durably(path, record)
            fs.fsync_dir(self._records)

    def drop_record(self, seq: int) -> None:
        with fs.translated(self._records):
            self._record(seq).unlink(missing_ok=True)

    def _record(self, seq: int) -> Path:
        return self._records / f"{seq:012}.json"

    def publish(self, files: Sequence[StagedFile]) -> None:
        with fs.translated(self._root):
            names, parents = fs.DirectoryNames(), []
            for file in files:
                staged, final = self._root / file.staging, self._root / file.final
                unpublished = staged.exists()
                if unpublished or final.parent.is_dir():
                    names.make(self._root, str(Path(file.final).parent))
                    parents.append(final.parent)
                if unpublished:
                    fs.publish(staged, final, file.sha256)
            names.sync(parents)
