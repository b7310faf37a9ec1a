"""The files sink: chunks collect in open files in staging; sealed files are durable but invisible until a commit publishes them.

All methods run in the pipeline's one IO thread. Staging lives below the output root, on the same file system:
`<root>/.worker/<lineage>/<pipeline>/staging/`. A file is `<route>/<pipeline>-<lineage>-<seq>-<part>.<ext>`.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from worker.config.scalars import Whole
from worker.core.errors import ConfigError
from worker.core.model import Chunk, StagedFile
from worker.formats.component import Encoder
from worker.runtime import fs
from worker.sinks.config import MakeEncoder, SinkConfig, SinkDeps

HIDDEN: Final = ".worker"

Key = tuple[
    str, str, int | None
]  # route, fingerprint, group: records of different keys never share a file


class Config(SinkConfig):
    """Files below a directory."""

    type: Literal["files"] = Field("files", description="kind of sink")
    max_open_files: Whole = Field(64, ge=1, description="open files at once")
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
        open_files: at once; beyond, the file that was not written to for longest is sealed.
        file_bytes: a file of this size is sealed and the next part begun.
        block_bytes: a file holds back at most this much before it compresses and writes.
        held_bytes: and all open files together this much. Small blocks cost time and compress badly.
        commit_files: a commit of this many files is due.
    """

    open_files: int = 64
    file_bytes: int = 128 * 1024 * 1024
    block_bytes: int = 256 * 1024
    held_bytes: int = 8 * 1024 * 1024
    commit_files: int = 10_000


DEFAULT_LIMITS: Final = SinkLimits()


class FilesSink:
    """See the module.

    Args:
        root: output directory; created when missing.
        encoder: makes the encoder of a new file from (fingerprint, seq, group).
    """

    def __init__(
        self,
        root: Path,
        pipeline: str,
        lineage: str,
        seq: int,
        encoder: MakeEncoder,
        *,
        kind: str = "records",
        limits: SinkLimits = DEFAULT_LIMITS,
        mode: int = 0o644,
    ) -> None:
        self.root, self.kind = root.absolute(), kind
        self._pipeline, self._lineage, self._seq, self._encoder = pipeline, lineage, seq, encoder
        self._limits, self._mode = limits, mode
        self.area = f"{HIDDEN}/{lineage}/{pipeline}"
        self.staging = self.root / self.area / "staging"
        self._open: OrderedDict[Key, _OpenFile] = OrderedDict()
        self._sealed: list[StagedFile] = []
        self._parts = 0
        self._pending_bytes = 0

    def __repr__(self) -> str:
        return f"<FilesSink {self.kind} {self._pipeline} seq={self._seq} open={len(self._open)} sealed={len(self._sealed)}>"

    def prepare(self, accepted_lineages: Sequence[str]) -> None:
        """Creates the staging area. Raises ConfigError over a root that holds another lineage of this pipeline."""
        with fs.translated(self.root):
            fs.make_root(self.root)
            hidden = self.root / HIDDEN
            others = (
                sorted(path.name for path in hidden.iterdir() if (path / self._pipeline).is_dir())
                if hidden.is_dir()
                else []
            )
            unknown = [
                name for name in others if name != self._lineage and name not in accepted_lineages
            ]
            if unknown:
                raise ConfigError(
                    f"{self.root} holds files of pipeline {self._pipeline!r} that this state knows nothing of (lineage {', '.join(unknown)})",
                    remedy=f"bring its state back, or say that they stay and everything is read again: `worker state reset CONFIG --pipeline {self._pipeline}`",
                )
            fs.make_dirs(self.root, f"{self.area}/staging", 0o700)

    @property
    def full(self) -> bool:
        """The commit in the making has as many files as one may have."""
        return self._parts >= self._limits.commit_files

    def begin(self, seq: int) -> None:
        """The files of the next commit."""
        self._seq, self._parts, self._sealed = seq, 0, []

    def write(self, chunk: Chunk) -> None:
        """Takes a chunk; compresses and writes when enough has come together."""
        try:  # not `fs.translated`: with many routes this is called for every few records
            self._add(chunk)
        except OSError as error:
            raise fs.translate(error, self.root) from error

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
            self._seal(
                next(iter(self._open.values()))
            )  # the one that was not written to for longest
        self._parts += 1
        encoder = self._encoder(key[1], self._seq, key[2])
        name = f"{self._pipeline}-{self._lineage}-{self._seq:012}-{self._parts:04}.{encoder.ext}"
        final = f"{key[0]}/{name}" if key[0] else name
        file = self._open[key] = _OpenFile(self.staging / name, final, key, encoder, self._mode)
        return file

    def _flush(self, file: _OpenFile) -> None:
        self._pending_bytes -= file.pending_bytes
        file.flush()

    def _seal(self, file: _OpenFile) -> None:
        self._pending_bytes -= file.pending_bytes
        del self._open[file.key]
        sha256 = file.seal()
        staging = f"{self.area}/staging/{file.path.name}"
        self._sealed.append(
            StagedFile(
                self.kind,
                str(self.root),
                staging,
                file.final,
                file.size_bytes,
                sha256,
                file.rows,
                file.key[1],
            )
        )

    def seal(self) -> tuple[StagedFile, ...]:
        """All files complete and durable in staging."""
        with fs.translated(self.root):
            for file in list(self._open.values()):
                self._seal(file)
            if self._sealed:
                fs.fsync_dir(self.staging)
        return tuple(self._sealed)

    def publish(self, files: Sequence[StagedFile]) -> None:
        """Gives committed files their final names, durably. A file that is not staged any more has been published."""
        with fs.translated(self.root):
            parents = []
            for file in files:
                staged, final = self.root / file.staging, self.root / file.final
                if staged.exists():
                    fs.make_dirs(self.root, str(Path(file.final).parent))
                    fs.publish(staged, final, file.sha256)
                if final.parent.is_dir():
                    parents.append(final.parent)
            fs.fsync_dirs(parents)

    def sweep(self) -> int:
        """Deletes what is left in staging from an attempt that ended; returns how many files."""
        with fs.translated(self.staging):
            left = list(self.staging.iterdir())
            for path in left:
                path.unlink()
        return len(left)

    def close(self) -> None:
        """Lets go of open files; what was not sealed is swept by the next attempt."""
        for file in self._open.values():
            file.close()
        self._open.clear()
