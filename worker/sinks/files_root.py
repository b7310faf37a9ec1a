"""An output directory as `verify`, replays and commands see it (the `OutputRoot` port)."""

from __future__ import annotations

import os
import shutil
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

    def __str__(self) -> str:
        return str(self.path)

    def place(self, file: StagedFile) -> str:
        return str(_final(file))

    def standing(self, file: StagedFile) -> FileState:
        if not _is_absent(_final(file)):
            return FileState.PUBLISHED
        staged = Path(file.root) / file.staging
        return FileState.GONE if _is_absent(staged) else FileState.STAGED

    def examine(self, file: StagedFile) -> Evidence:
        path = _final(file)
        try:
            size_bytes, sha256 = path.stat().st_size, fs.sha256_of(path)
            return Evidence(rows=rows_in(path), size_bytes=size_bytes, sha256=sha256)
        except OSError as error:
            return Evidence(problem=f"cannot be read: {error.strerror}")
        except WorkerError as error:
            problem = f"it is damaged: {error.message}"
            return Evidence(size_bytes=size_bytes, sha256=sha256, problem=problem)

    def lines(self, file: StagedFile) -> Iterator[bytes]:
        path = _final(file)
        if self.standing(file) is FileState.PUBLISHED:
            with fs.translated(path), path.open("rb") as lines:
                yield from lines

    def delete(self, file: StagedFile) -> None:
        path = _final(file)
        with fs.translated(path):
            path.unlink(missing_ok=True)

    def listing(self, pipeline: str, lineage: str) -> Iterator[str]:
        for path in sorted(self.path.rglob(f"{pipeline}-{lineage}-*")):
            if HIDDEN not in path.relative_to(self.path).parts:
                yield str(path)

    def lineages(self, pipeline: str) -> list[str]:
        return lineages_in(self.path, pipeline)

    def remove(self, place: str) -> None:
        with fs.translated(place):
            Path(place).unlink(missing_ok=True)

    def forget(self, pipeline: str, lineage: str) -> None:
        area = self.path / HIDDEN / lineage / pipeline
        with fs.translated(area):
            if area.is_dir():
                shutil.rmtree(area)
            _remove_if_empty(area.parent)


def _remove_if_empty(directory: Path) -> None:
    """Other pipelines of the lineage may have left something there."""
    try:
        directory.rmdir()
    except OSError:
        return


def lineages_in(root: Path, pipeline: str) -> list[str]:
    """The lineages of a pipeline that have an area below this root."""
    hidden = root / HIDDEN
    with fs.translated(root):
        if not hidden.is_dir():
            return []
        return sorted(path.name for path in hidden.iterdir() if (path / pipeline).is_dir())


def _final(file: StagedFile) -> Path:
    return Path(file.root) / file.final


def _is_absent(path: Path) -> bool:
    """Nothing is there. What nobody may look at is not known to be absent."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False
