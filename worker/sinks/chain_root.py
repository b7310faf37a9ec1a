"""The root that a chain writes to, and the one that it comes from where its path was changed."""

from __future__ import annotations

from pathlib import Path

from worker.core.errors import SinkUnavailable
from worker.core.model import ChainRow, ChainState, Root, StagedFile
from worker.core.roots import Decision, Sight, area_of, decide, known_to, refuse
from worker.runtime import fs
from worker.sinks.root_ids import make_root_id, root_id
from worker.sinks.used_roots import UsedRoots


def sight(root: Path, chain: ChainState | ChainRow) -> Sight:
    """What is found at a path of the root of a chain."""
    with fs.translated(root):
        return Sight(id=root_id(root), area=(root / area_of(chain)).is_dir())


class ChainRoot:
    """A root of one kind, for one attempt.

    Args:
        path: where the config puts it.
        used: the roots of this process; None where nobody else is there, as in a test.

    Attributes:
        id: which root it is; empty before `enter`.
        before: the root that the chain has written to, where its commits are finished; None where
            that is the one that it writes to now, and before `look`.
    """

    def __init__(self, path: Path, kind: str, chain: ChainState, used: UsedRoots | None) -> None:
        self.path, self.id = path.absolute(), ""
        self.before: Path | None = None
        self._chain, self._used = chain, used
        self._known = known_to(chain, kind)

    @property
    def is_new(self) -> bool:
        """Whether the chain has never written here, nor anywhere else."""
        return self._known is None and self._chain.last is None

    def look(self) -> None:
        """Finds out which root it is, and changes nothing. First, once.

        Raises SinkUnavailable where it is not there, and RootUnknown where it is another one and
        the old one cannot be found.
        """
        known, here, there = self._known, sight(self.path, self._chain), Sight()
        if known is not None and known.path != str(self.path):
            there = sight(Path(known.path), self._chain)
        has_commits = self._chain.last is not None
        found = decide(known, str(self.path), here=here, there=there, has_commits=has_commits)
        refuse(found, self._chain.pipeline, known, str(self.path), here)
        if found is Decision.SWITCH and known is not None:
            self.before = Path(known.path)

    def enter(self) -> Root:
        """Locks the root, and gives it an id where it has none. Once, after `look`.

        Returns it as the state should know it. Raises what `UsedRoots.enter` does.
        """
        for root in (self.path, self.before):
            if self._used is not None and root is not None:
                self._used.enter(root, self._chain.state_id, self._chain.shard)
        with fs.translated(self.path):
            self.id = make_root_id(self.path)
        return Root(path=str(self.path), id=self.id)

    def of(self, file: StagedFile) -> Path:
        """The root that the names of a file stand below, wherever it is now.

        Raises SinkUnavailable where it is nowhere.
        """
        if file.root_id == self.id:
            return self.path
        if file.root_id == ("" if self._known is None else self._known.id) or not file.root_id:
            return self.before or self.path
        if root_id(Path(file.root)) != file.root_id:
            raise _away(file.root, file)
        return Path(file.root)

    def refuse_absent(self, file: StagedFile) -> None:
        """Raises SinkUnavailable where the root of a file is not there any more."""
        root = self.of(file)
        if file.root_id and root_id(root) != file.root_id:
            raise _away(root, file)


def root_before(path: Path, kind: str, chain: ChainState) -> Path | None:
    """See `ChainRoot.before`; raises what `ChainRoot.look` does."""
    root = ChainRoot(path, kind, chain, None)
    root.look()
    return root.before


def _away(root: Path | str, file: StagedFile) -> SinkUnavailable:
    return SinkUnavailable(
        f"{root} is not the output {file.root_id}, which {file.final} was committed to: it was"
        " unmounted, moved or replaced",
        remedy="mount it, or put it back; the pipeline resumes by itself",
    )
