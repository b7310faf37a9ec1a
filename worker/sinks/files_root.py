"""An output directory as `verify`, replays and commands see it (the `OutputRoot` port)."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from worker.core.digest import proof_of
from worker.core.errors import SinkUnavailable, WorkerError
from worker.core.model import ChainRow, CommitRow, Root, StagedFile
from worker.core.names import lineage_of
from worker.core.ports import Evidence, FileState
from worker.core.roots import HIDDEN, Sight, area_of
from worker.formats.component import rows_in
from worker.runtime import fs
from worker.sinks.chain_root import sight
from worker.sinks.commit_records import FileCommitRecords
from worker.sinks.root_ids import make_root_id, root_id


class FilesRoot:
    """See the `OutputRoot` port for the methods.

    Args:
        path: where the config puts new files.
        places: where each root was last seen, by id; empty for one that was given up.
    """

    def __init__(self, path: Path, kind: str, places: Mapping[str, str] | None = None) -> None:
        self.path, self.kind = path.absolute(), kind
        self._linked: dict[Path, bool] = {}
        self._places = places or {}
        self._found: dict[tuple[str, str], Path | None] = {}

    def __str__(self) -> str:
        return str(self.path)

    def place(self, file: StagedFile) -> str:
        return str(self._final(file))

    def standing(self, file: StagedFile) -> FileState:
        final, staged = self._final(file), self._final(file, file.staging)
        if not _is_absent(final):
            return FileState.PUBLISHED
        if not _is_absent(staged):
            return FileState.STAGED
        if not _is_absent(final):  # it was published in between
            return FileState.PUBLISHED
        return FileState.GONE

    def examine(self, file: StagedFile) -> Evidence:
        path = self._final(file)
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
        path = self._final(file)
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            return f"it is a link to {path.readlink()}, and no file"
        if not stat.S_ISREG(mode):
            return "it is no file"
        directory = path.parent
        if directory not in self._linked:
            root = self._root_of(file) or Path(file.root)
            unlinked = root.resolve() / directory.relative_to(root)
            self._linked[directory] = directory.resolve() != unlinked
        return "a directory above it is a link" if self._linked[directory] else ""

    def lines(self, file: StagedFile) -> Iterator[bytes]:
        path = self._present(file)
        if self.standing(file) is FileState.PUBLISHED:
            with fs.translated(path), path.open("rb") as lines:
                yield from lines

    def delete(self, file: StagedFile) -> None:
        path = self._present(file)
        with fs.translated(path):
            path.unlink(missing_ok=True)

    def listing(self, pipeline: str, lineage: str) -> Iterator[str]:
        prefix = f"{pipeline}-{lineage}-"
        for directory, names in _visible(self.path):
            yield from (f"{directory}/{name}" for name in sorted(names) if name.startswith(prefix))

    def lineages(self, pipeline: str) -> list[str]:
        return lineages_in(self.path, pipeline)

    def published_lineages(self, pipeline: str) -> list[str]:
        with fs.translated(self.path):
            return published_lineages(self.path, pipeline)

    def head(self, place: str) -> bytes:
        try:
            with fs.translated(place), open(place, "rb") as file:
                return file.readline()
        except FileNotFoundError:
            return b""

    def remove(self, place: str) -> None:
        with fs.translated(place):
            Path(place).unlink(missing_ok=True)

    def forget(self, pipeline: str, lineage: str) -> None:
        area = self.path / HIDDEN / lineage / pipeline
        with fs.translated(area):
            if area.is_dir():
                shutil.rmtree(area)
            fs.remove_if_empty(area.parent)

    # -- which root it is --------------------------------------------------------------------------

    def sight(self, chain: ChainRow, path: str = "") -> Sight:
        return sight(Path(path or self.path), chain)

    def newest(self, chain: ChainRow, path: str = "") -> int:
        return self._commits(chain, path).newest()

    def record(self, chain: ChainRow, seq: int, path: str = "") -> bytes | None:
        commits = self._commits(chain, path)
        return commits.proven(seq) or commits.staged(seq)

    def adopt(self, chain: ChainRow | None, last: CommitRow | None, root_id: str) -> Root:
        with fs.translated(self.path):
            fs.make_root(self.path)
            root = Root(path=str(self.path), id=make_root_id(self.path, root_id))
            if chain is not None and last is not None:
                fs.make_dirs(self.path, f"{area_of(chain)}/commits", 0o700)
                self._commits(chain).bring(last.seq, proof_of(last))
        return root

    def publish(self, file: StagedFile) -> None:
        final = self._final(file)
        with fs.translated(final):
            root = self._root_of(file) or self.path
            fs.make_dirs(root, str(Path(file.final).parent))
            fs.publish(self._final(file, file.staging), final, file.sha256)
            fs.fsync_dir(final.parent)

    def _commits(self, chain: ChainRow, path: str = "") -> FileCommitRecords:
        return FileCommitRecords(Path(path or self.path) / area_of(chain) / "commits", "", ())

    # -- where a file is ---------------------------------------------------------------------------

    def _final(self, file: StagedFile, name: str = "") -> Path:
        root = self._root_of(file) or Path(self._places.get(file.root_id, file.root))
        return root / (name or file.final)

    def _present(self, file: StagedFile) -> Path:
        """Where the file is published. Raises SinkUnavailable where its root is not there."""
        if self._root_of(file) is None:
            raise SinkUnavailable(
                f"the output {file.root_id}, which was at"
                f" {self._places.get(file.root_id, file.root)}, is not there",
                remedy="mount it, or put it back; `worker state adopt CONFIG PIPELINE --root` gives"
                " up what was in it",
            )
        return self._final(file)

    def _root_of(self, file: StagedFile) -> Path | None:
        """The root of the file, wherever it is now; None where it cannot be found."""
        key = file.root_id, file.root
        if key not in self._found:
            seen = self._places.get(file.root_id, file.root)
            paths = (self.path, Path(seen), Path(file.root))
            if not seen:  # given up with `state adopt --root`
                self._found[key] = self.path
            elif file.root_id:
                found = (path for path in paths if root_id(path) == file.root_id)
                self._found[key] = next(found, None)
            else:  # of a state of a format before 4
                there = Path(file.root)
                self._found[key] = there if (there / HIDDEN).is_dir() else self.path
        return self._found[key]


def lineages_in(root: Path, pipeline: str) -> list[str]:
    """The lineages of a pipeline that have an area below this root."""
    hidden = root / HIDDEN
    with fs.translated(root):
        if not hidden.is_dir():
            return []
        return sorted(path.name for path in hidden.iterdir() if (path / pipeline).is_dir())


def published_lineages(root: Path, pipeline: str) -> list[str]:
    """The lineages of a pipeline that the names of files below this root tell.

    Also where all that stands beside the files is gone, as in a copy without dot files.
    """
    found = {lineage_of(name, pipeline) for _, names in _visible(root) for name in names}
    return sorted(lineage for lineage in found if lineage is not None)


def _visible(root: Path) -> Iterator[tuple[str, list[str]]]:
    """The directories of a root in order, and what stands in them."""
    for directory, below, names in os.walk(root):
        below[:] = sorted(name for name in below if name != HIDDEN)
        yield directory, names


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
