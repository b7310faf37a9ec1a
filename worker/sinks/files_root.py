"""An output directory as `verify`, replays and commands see it (the `OutputRoot` port)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from worker.core.errors import WorkerError
from worker.core.model import StagedFile
from worker.core.ports import Evidence, FileState
from worker.formats.component import rows_in
from worker.runtime import fs

HIDDEN: Final = ".worker"
"""The directory below a root that holds what is not published. No route can name it."""


class FilesRoot:
    """See the `OutputRoot` port for the methods."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path, self.kind = path.absolute(), kind
        self._linked: dict[Path, bool] = {}

    def __str__(self) -> str:
        return str(self.path)

    def place(self, file: StagedFile) -> str:
        return str(_final(file))

    def standing(self, file: StagedFile) -> FileState:
        final, staged = _final(file), Path(file.root) / file.staging
        if not _is_absent(final):
            return FileState.PUBLISHED
        if not _is_absent(staged):
            return FileState.STAGED
        if not _is_absent(final):  # it was published in between
            return FileState.PUBLISHED
        return FileState.GONE if _is_absent(_lost(file)) else FileState.LOST

    def examine(self, file: StagedFile) -> Evidence:
        path = _final(file)
        try:
            if problem := self._in_place_of_a_file(file):
                return Evidence(problem=problem)
            size_bytes, sha256 = path.stat().st_size, fs.sha256_of(path)
            return Evidence(rows=rows_in(path), size_bytes=size_bytes, sha256=sha256)
        except OSError as error:
            return Evidence(problem=f"cannot be read: {error.strerror}")
        except WorkerError as error:
            problem = f"it is damaged: {error.message}"
            return Evidence(size_bytes=size_bytes, sha256=sha256, problem=problem)

    def _in_place_of_a_file(self, file: StagedFile) -> str:
        """What stands under the name of a file that is none, as we write them."""
        path = _final(file)
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            return f"it is a link to {path.readlink()}, and no file"
        if not stat.S_ISREG(mode):
            return "it is no file"
        directory = path.parent
        if directory not in self._linked:
            root = Path(file.root)
            unlinked = root.resolve() / directory.relative_to(root)
            self._linked[directory] = directory.resolve() != unlinked
        return "a directory above it is a link" if self._linked[directory] else ""

    def lines(self, file: StagedFile) -> Iterator[bytes]:
        path = _final(file)
        if self.standing(file) is FileState.PUBLISHED:
            with fs.translated(path), path.open("rb") as lines:
                yield from lines

    def delete(self, file: StagedFile) -> None:
        path = _final(file)
        with fs.translated(path):
            path.unlink(missing_ok=True)

    def mark_lost(self, file: StagedFile) -> None:
        path = _lost(file)
        with fs.translated(path):
            fs.make_dirs(Path(file.root), str(path.parent.relative_to(file.root)), 0o700)
            fs.write_durably(path, b"")
            fs.fsync_dir(path.parent)

    def listing(self, pipeline: str, lineage: str) -> Iterator[str]:
        prefix = f"{pipeline}-{lineage}-"
        for directory, below, names in os.walk(self.path):
            below[:] = sorted(name for name in below if name != HIDDEN)
            yield from (f"{directory}/{name}" for name in sorted(names) if name.startswith(prefix))

    def lineages(self, pipeline: str) -> list[str]:
        return lineages_in(self.path, pipeline)


def lineages_in(root: Path, pipeline: str) -> list[str]:
    """The lineages of a pipeline that have an area below this root."""
    hidden = root / HIDDEN
    with fs.translated(root):
        if not hidden.is_dir():
            return []
        return sorted(path.name for path in hidden.iterdir() if (path / pipeline).is_dir())


def _final(file: StagedFile) -> Path:
    return Path(file.root) / file.final


def _lost(file: StagedFile) -> Path:
    """What says that a file is gone for good."""
    return Path(file.root) / HIDDEN / "lost" / Path(file.final).name


def _is_absent(path: Path) -> bool:
    """Nothing is there, not even a link that leads nowhere. What nobody may look at is not known
    to be absent.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False
