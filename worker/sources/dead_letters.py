"""Dead letters as a source: what was rejected is decoded again, with the schema of now.

A page is the dead letters of one commit. The mark is the number of that commit and the boundary
keys are its lines, so the rules of incremental sources make a second replay bring nothing, also
after a kill. What is rejected again becomes a new dead letter in a later commit than the mark and
is replayed the next time. A replay ends at the last commit that there was when it began: otherwise
one that mends nothing would read its own rejects for ever.

Records count as received by their partition when their letters were written, not when they are
replayed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from typing import Final

from worker.core.dead_letter import DeadLetter
from worker.core.identities import digest16
from worker.core.model import DEAD_LETTERS, CommitRow, Decoded, of_kind
from worker.core.ports import CommitHistory, OutputRoot, Plan
from worker.formats.records import Batch, RecordDecoder, RecordSpec
from worker.paging.marks import MarkFormat
from worker.paging.spec import Fetch, IncrementalSpec, PagingSpec, Reply
from worker.runtime.slices import in_slices
from worker.sources.pagination import cursor

_STYLE: Final = cursor.build(
    cursor.Config.model_validate(
        {"type": "cursor", "from": {"body": "next"}, "to": {"param": "seq"}}
    )
)
REPLAY_PLAN: Final = PagingSpec(
    style=_STYLE, once=True, incremental=IncrementalSpec("seq", MarkFormat("int"))
)


def letters_of(root: OutputRoot, commit: CommitRow) -> Iterator[DeadLetter]:
    """The dead letters of a commit in order, without those whose file was taken away."""
    for file in of_kind(commit.files, DEAD_LETTERS):
        yield from map(DeadLetter.from_line, root.lines(file))


class DeadLetters:
    """The `Fetcher` of a replay.

    Args:
        log: read on the event loop, so it is no log that a committer writes to.
        root: where the dead letters are.
        limits: of a record, as in the pipeline.
    """

    def __init__(
        self,
        pipeline: str,
        log: CommitHistory,
        root: OutputRoot,
        plan: Plan,
        limits: RecordSpec,
    ) -> None:
        self._pipeline, self._log, self._root = pipeline, log, root
        self._end: int | None = None
        self._records = RecordDecoder(limits, plan)

    async def __call__(self, partition: str, fetch: Fetch) -> Reply:
        """The letters of the commit at the position, or of the first one from the mark on."""
        asked = dict(fetch.address.params or {}).get("seq") or fetch.since or 0
        commits = self._two_from(int(asked))
        if not commits:
            return Reply(None)
        following = commits[1].seq if len(commits) > 1 else None
        return Reply(await self._page(commits[0], following))

    def _two_from(self, seq: int) -> list[CommitRow]:
        """The commit of the page that is asked for, and that of the next page."""
        if self._end is None:
            heads = {each.name: each.seq for each in self._log.pipelines()}
            self._end = heads.get(self._pipeline, 0)
        end = self._end
        commits = self._log.commits(self._pipeline, seq, kind=DEAD_LETTERS)
        return list(islice(takewhile(lambda commit: commit.seq <= end, commits), 2))

    async def _page(self, commit: CommitRow, following: int | None) -> Decoded:
        letters = list(letters_of(self._root, commit))
        raws = [letter.received for letter in letters]
        batch = Batch()
        batch.add_source(lambda: raws)
        await in_slices(self._records.add_letters(batch, raws))
        decoded = batch.decoded({"next": following})
        facts = decoded.facts
        facts.values = [commit.seq] * len(raws)
        facts.keys = _line_keys(commit.seq, raws)
        facts.size_bytes = sum(map(len, raws))
        facts.came_each = [(letter.time_us, letter.partition) for letter in letters]
        return decoded


def _line_keys(seq: int, raws: Sequence[bytes]) -> list[bytes]:
    """The identities of dead letters: their lines in their commit."""
    return [digest16(f"{seq}:{line}".encode()) for line in range(len(raws))]
