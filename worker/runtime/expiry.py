"""Dead letters that are older than `dead_letters.keep_for` are removed.

The log is told first that a file is gone, then the file is deleted, and its row is forgotten last,
by the keeper. So a kill in between leaves a file that is deleted the next time, and none that
`verify` misses. What the log has forgotten, or had before a reset, is found by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import msgspec

from worker.core.checkpoint import EXPIRED
from worker.core.dead_letter import DeadLetter
from worker.core.instants import rfc3339_at
from worker.core.model import DEAD_LETTERS, ChainRow, StagedFile, of_kind
from worker.core.names import commit_of
from worker.core.ports import Clock, CommitLog, FileState, OutputRoot

MOST_FILES: Final = 1_000
"""So many files are removed each time, which takes a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Expired:
    """What was removed.

    Attributes:
        files: that were deleted.
        more: others are too old as well.
    """

    files: int = 0
    more: bool = False


class Expiry:
    """The dead letters of one pipeline. Used in its IO thread, or by a command under the lock.

    Args:
        root: makes what finds the files, anew each time: an output may have been moved.
        keep_s: what is older than so many seconds is removed.
    """

    def __init__(
        self,
        log: CommitLog,
        root: Callable[[], OutputRoot],
        pipeline: str,
        clock: Clock,
        *,
        keep_s: float,
    ) -> None:
        self._log, self._root, self._pipeline = log, root, pipeline
        self._clock, self._keep_s = clock, keep_s

    def work(self) -> Expired:
        """Removes a bounded number of files. Raises SinkUnavailable where their root is not there;
        what is not removed then is removed later.
        """
        before = rfc3339_at(self._clock.time() - self._keep_s)
        root, chains = self._root(), self._log.chains(self._pipeline)
        committed = [file for chain in chains for file in self._committed(chain, before)]
        there = [file for file in committed if root.standing(file) is FileState.PUBLISHED]
        some, later = there[:MOST_FILES], {file.final for file in there[MOST_FILES:]}
        self._tell([file for file in committed if file.final not in later])
        for file in some:
            root.delete(file)
        left = MOST_FILES - len(some)
        places = list(islice(self._forgotten(root, chains, before), left + 1))
        for place in places[:left]:
            root.remove(place)
        return Expired(len(some) + len(places[:left]), more=bool(later or places[left:]))

    def _committed(self, chain: ChainRow, before: str) -> Iterator[StagedFile]:
        """The files of dead letters that are too old, of commits that the log has."""
        commits = self._log.commits(chain.pipeline, kind=DEAD_LETTERS, shard=chain.shard)
        for commit in commits:
            if commit.at >= before or commit.seq > chain.published:
                return
            yield from of_kind(commit.files, DEAD_LETTERS)

    def _tell(self, files: Sequence[StagedFile]) -> None:
        known = self._log.gone(self._pipeline)
        if news := [file for file in files if (file.kind, file.final) not in known]:
            self._log.keep_gone(self._pipeline, news, EXPIRED)

    def _forgotten(
        self, root: OutputRoot, chains: Sequence[ChainRow], before: str
    ) -> Iterator[str]:
        """The files that are too old of commits that the log has forgotten."""
        pruned = {chain.lineage: chain.pruned for chain in chains}
        for lineage in root.lineages(self._pipeline):
            for place in root.listing(self._pipeline, lineage):
                number = commit_of(place, self._pipeline, lineage)
                if number is None or number > pruned.get(lineage, number):
                    continue
                if (at := _written(root.head(place))) and at < before:
                    yield place


def _written(line: bytes) -> str:
    """When the first letter of a file was written; empty for what is none."""
    try:
        return DeadLetter.from_line(line).time
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
