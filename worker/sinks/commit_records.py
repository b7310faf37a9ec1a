"""The records of commits as files below an output root (the `CommitRecords` port).

`<seq>.open` was staged before the commit point, `<seq>.json` proves that it was passed. A record is
written under the name of its owner first and then renamed, so that none is ever seen in part.
Whoever replaces one puts it aside first and looks at it there: an owner that was suspended for long
never deletes what a later one has staged meanwhile. Checkpoints stand in a directory beside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from worker.core.digest import record_head
from worker.core.errors import Fenced
from worker.runtime import fs

_PROVEN: Final = re.compile(r"(\d{12,})\.json")
_CHECKPOINT: Final = re.compile(r"(\d{12,})\.json\.gz")
KEPT_CHECKPOINTS: Final = 2


class FileCommitRecords:
    """See the `CommitRecords` port for the methods that have no docstring here.

    Args:
        directory: that of one chain; the sink of records makes it.
        owner: nonce of the owner that stages records.
        owners: nonces of earlier owners of this chain, whose staged records may be replaced.
        before: the directory in the root that the chain comes from, where that is another one.
    """

    def __init__(
        self,
        directory: Path,
        owner: str,
        owners: Collection[str],
        before: Callable[[], Path | None] = lambda: None,
    ) -> None:
        self._directory, self._owner, self._before = directory, owner, before
        self._checkpoints = directory.with_name("checkpoints")
        self._ours = {owner, *owners}
        self._inode: tuple[int, int] | None = None

    def newest(self) -> int:
        self._put_back_all()
        return max((number for each in self._directories() for number in _seqs_in(each)), default=0)

    def proven(self, seq: int) -> bytes | None:
        return self._first(_json(seq))

    def staged(self, seq: int) -> bytes | None:
        return self._first(_open(seq))

    def _directories(self) -> tuple[Path, ...]:
        """Where records of the chain may be: first where those of its next commits will be."""
        before = self._before()
        return (self._directory,) if before is None else (self._directory, before)

    def _first(self, name: str) -> bytes | None:
        found = (self._read(each / name) for each in self._directories())
        return next((record for record in found if record is not None), None)

    def _read(self, path: Path) -> bytes | None:
        with fs.translated(path):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def stage(self, seq: int, record: bytes) -> None:
        path, draft = self._directory / _open(seq), self._draft(seq)
        with fs.translated(path):
            self._refuse_proven(seq)
            fs.write_durably(draft, record)
            try:
                fs.rename_noreplace(draft, path)
            except FileExistsError:
                self._remove_our_own(seq)
                try:
                    fs.rename_noreplace(draft, path)
                except FileExistsError:
                    raise _fenced(path) from None
            self._inode = _inode(path)
            fs.fsync_dir(self._directory)
            self._refuse_proven(seq)

    def _draft(self, seq: int) -> Path:
        return self._directory / f"{seq:012}.{self._owner}.draft"

    def _refuse_proven(self, seq: int) -> None:
        if (proof := self._directory / _json(seq)).exists():
            raise _fenced(proof)

    def _remove_our_own(self, seq: int) -> None:
        """Raises Fenced where the staged record is that of somebody else."""
        path = self._directory / _open(seq)
        aside = self._directory / f"{seq:012}.{self._owner}.aside"
        try:
            path.rename(aside)
        except FileNotFoundError:  # it was proven, or another owner replaces it
            return
        head = record_head(aside.read_bytes())
        if head is None or head.owner not in self._ours:
            _put_back(aside, path)
            raise _fenced(path)
        aside.unlink()

    def _put_back_all(self) -> None:
        """Puts back what owners of this chain had put aside when they were killed."""
        with fs.translated(self._directory):
            for aside in self._directory.glob("*.aside"):
                seq, owner, _ = aside.name.split(".")
                if owner in self._ours:
                    _put_back(aside, self._directory / _open(int(seq)))

    def prove(self, seq: int) -> None:
        directory = self._directory
        if self._inode is None:  # in recovery it is where the commit was made
            staged = (each for each in self._directories() if (each / _open(seq)).exists())
            directory = next(staged, directory)
        path, proof = directory / _open(seq), directory / _json(seq)
        with fs.translated(path):
            try:
                if self._inode not in (None, _inode(path)):
                    raise _fenced(path)
                fs.rename_noreplace(path, proof)
            except FileNotFoundError:  # another owner of this chain recovers it at the same time
                if not proof.exists():
                    raise _fenced(path) from None
            except FileExistsError:
                raise _fenced(proof) from None
            self._inode = None
            fs.fsync_dir(directory)

    def bring(self, seq: int, record: bytes) -> None:
        proof, draft = self._directory / _json(seq), self._draft(seq)
        with fs.translated(proof):
            if proof.exists():
                return
            fs.write_durably(draft, record)
            fs.rename_noreplace(draft, proof)
            fs.fsync_dir(self._directory)

    def drop(self, seq: int) -> None:
        for directory in self._directories():
            with fs.translated(directory):
                (directory / _json(seq)).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Deletes the drafts of this owner and of earlier ones; returns how many."""
        with fs.translated(self._directory):
            drafts = [
                path
                for path in self._directory.glob("*.draft")
                if path.name.split(".")[1] in self._ours
            ]
            for path in drafts:
                path.unlink(missing_ok=True)
        return len(drafts)

    def seqs(self) -> list[int]:
        return _seqs_in(self._directory)

    def size_after(self, seq: int) -> int:
        later = (number for number in self.seqs() if number > seq)
        with fs.translated(self._directory):
            return sum((self._directory / _json(number)).stat().st_size for number in later)

    def delete(self, seqs: Sequence[int]) -> None:
        with fs.translated(self._directory):
            for seq in seqs:
                (self._directory / _json(seq)).unlink(missing_ok=True)
            fs.fsync_dir(self._directory)

    # -- checkpoints -----------------------------------------------------------------------------

    def checkpoints(self) -> dict[int, int]:
        found = _numbers(self._checkpoints, _CHECKPOINT)
        with fs.translated(self._checkpoints):
            return {seq: self._checkpoint(seq).stat().st_size for seq in found}

    def read_checkpoint(self, seq: int) -> bytes | None:
        return self._read(self._checkpoint(seq))

    def write_checkpoint(self, seq: int, data: bytes) -> None:
        path = self._checkpoint(seq)
        with fs.translated(path):
            fs.make_dirs(self._directory.parent, self._checkpoints.name, 0o700)
            draft = self._checkpoints / f"{seq:012}.draft"
            fs.write_durably(draft, data)
            draft.replace(path)
            fs.fsync_dir(self._checkpoints)
            for older in list(self.checkpoints())[:-KEPT_CHECKPOINTS]:
                self._checkpoint(older).unlink(missing_ok=True)

    def _checkpoint(self, seq: int) -> Path:
        return self._checkpoints / f"{seq:012}.json.gz"


def _numbers(directory: Path, pattern: re.Pattern[str]) -> list[int]:
    with fs.translated(directory):
        if not directory.is_dir():
            return []
        found = (pattern.fullmatch(path.name) for path in directory.iterdir())
        return sorted(int(match[1]) for match in found if match)


def _seqs_in(directory: Path) -> list[int]:
    return _numbers(directory, _PROVEN)


def _open(seq: int) -> str:
    return f"{seq:012}.open"


def _json(seq: int) -> str:
    return f"{seq:012}.json"


def _put_back(aside: Path, path: Path) -> None:
    """Nothing happens where the owner that had put it aside lives, and does so itself."""
    try:
        fs.rename_noreplace(aside, path)
    except FileExistsError:  # whoever staged that one could, so this one is not committed
        aside.unlink(missing_ok=True)
    except FileNotFoundError:
        return


def _inode(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _fenced(path: Path) -> Fenced:
    return Fenced(
        f"{path} is the record of another owner: a copy of this state goes on with this output",
        remedy="stop one of the two; if this state is the older one, bring the newer one back, or"
        " let `worker state rebuild` make one from the output",
    )
