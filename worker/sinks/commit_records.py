"""The records of commits as files below an output root (the `CommitRecords` port).

`<seq>.open` was staged before the commit point, `<seq>.json` proves that it was passed. A record is
written under the name of its owner first and then renamed, so that none is ever seen in part.
Whoever replaces one puts it aside first and looks at it there: an owner that was suspended for long
never deletes what a later one has staged meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

from worker.core.digest import record_head
from worker.core.errors import Fenced
from worker.runtime import fs

_PROVEN: Final = re.compile(r"(\d{12,})\.json")


class FileCommitRecords:
    """See the `CommitRecords` port for the methods that have no docstring here.

    Args:
        directory: that of one chain; the sink of records makes it.
        owner: nonce of the owner that stages records.
        owners: nonces of earlier owners of this chain, whose staged records may be replaced.
    """

    def __init__(self, directory: Path, owner: str, owners: Collection[str]) -> None:
        self._directory, self._owner = directory, owner
        self._ours = {owner, *owners}
        self._inode: tuple[int, int] | None = None

    def newest(self) -> int:
        with fs.translated(self._directory):
            if not self._directory.is_dir():
                return 0
            self._put_back_all()
            found = (_PROVEN.fullmatch(path.name) for path in self._directory.iterdir())
            return max((int(match[1]) for match in found if match), default=0)

    def proven(self, seq: int) -> bytes | None:
        return self._read(self._json(seq))

    def staged(self, seq: int) -> bytes | None:
        return self._read(self._open(seq))

    def _read(self, path: Path) -> bytes | None:
        with fs.translated(path):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def stage(self, seq: int, record: bytes) -> None:
        path, draft = self._open(seq), self._directory / f"{seq:012}.{self._owner}.draft"
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

    def _refuse_proven(self, seq: int) -> None:
        if self._json(seq).exists():
            raise _fenced(self._json(seq))

    def _remove_our_own(self, seq: int) -> None:
        """Raises Fenced where the staged record is that of somebody else."""
        path, aside = self._open(seq), self._directory / f"{seq:012}.{self._owner}.aside"
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
        for aside in self._directory.glob("*.aside"):
            seq, owner, _ = aside.name.split(".")
            if owner in self._ours:
                _put_back(aside, self._open(int(seq)))

    def prove(self, seq: int) -> None:
        path, proof = self._open(seq), self._json(seq)
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
            fs.fsync_dir(self._directory)

    def drop(self, seq: int) -> None:
        with fs.translated(self._directory):
            self._json(seq).unlink(missing_ok=True)

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

    def _open(self, seq: int) -> Path:
        return self._directory / f"{seq:012}.open"

    def _json(self, seq: int) -> Path:
        return self._directory / f"{seq:012}.json"


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
