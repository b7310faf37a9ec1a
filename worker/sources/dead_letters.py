"""Dead letters as a source: what was rejected is decoded again, with the schema of now.

A page is the dead letters of one commit. The mark is the number of that commit and the boundary
keys are its lines, so the rules of incremental sources make a second replay bring nothing, also
after a kill. What is rejected again becomes a new dead letter in a later commit than the mark and
is replayed the next time. A replay ends at the last commit that there was when it began: otherwise
one that mends nothing would read its own rejects for ever.

A body that was rejected as a whole is decoded as the bodies of the source are now, with what
`decode.strip_prefix` says now; its records are replayed, or it is a dead letter again.

A letter that does not hold its record (`dead_letters.keep`) becomes the same dead letter again,
with the place and the reasons that it had.

Records count as received by their partition when their letters were written, not when they are
replayed.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from itertools import islice, takewhile
from typing import Final

import msgspec

from worker.core.dead_letter import DeadLetter, is_body, is_unshaped
from worker.core.errors import BadBody, WorkerError
from worker.core.identities import digest16
from worker.core.model import DEAD_LETTERS, CommitRow, Decoded, FieldError, Reject, of_kind
from worker.core.ports import CommitHistory, OutputRoot, Pages, Plan, Room
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
        pages: the decoder of the pipeline, for bodies that were rejected as a whole.
        values: those of each partition; those that only the letters know are added.
    """

    def __init__(
        self,
        pipeline: str,
        log: CommitHistory,
        root: OutputRoot,
        plan: Plan,
        limits: RecordSpec,
        pages: Pages,
        values: dict[str, dict[str, str]] | None = None,
    ) -> None:
        self._values = {} if values is None else values
        self._pipeline, self._log, self._root = pipeline, log, root
        self._end: int | None = None
        self._records, self._pages = RecordDecoder(limits, plan), pages

    async def __call__(self, partition: str, fetch: Fetch, room: Room) -> Reply:
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
            self._end = max((each.seq for each in self._log.chains(self._pipeline)), default=0)
        end = self._end
        commits = self._log.commits(self._pipeline, seq, kind=DEAD_LETTERS)
        return list(islice(takewhile(lambda commit: commit.seq <= end, commits), 2))

    async def _page(self, commit: CommitRow, following: int | None) -> Decoded:
        letters = list(letters_of(self._root, commit))
        for each in letters:
            if isinstance(each.values, dict):
                self._values.setdefault(each.partition, each.values)
        batch, keys, came = Batch(), list[bytes](), list[tuple[int, str]]()
        lines = enumerate(letters)
        for add_one, run in itertools.groupby(lines, lambda each: self._adder(each[1])):
            part = list(run)
            if add_one is not None:
                for line, letter in part:
                    records = await add_one(batch, letter)
                    keys += _keys(commit.seq, line, records)
                    came += [(letter.time_us, letter.partition)] * records
                continue
            await self._add_records(batch, [letter.received for _, letter in part])
            keys += (key for line, _ in part for key in _keys(commit.seq, line, 1))
            came += ((letter.time_us, letter.partition) for _, letter in part)
        decoded = batch.decoded({"next": following})
        facts = decoded.facts
        facts.values, facts.keys, facts.came_each = [commit.seq] * len(keys), keys, came
        facts.size_bytes = sum(len(letter.received) for letter in letters)
        return decoded

    def _adder(self, letter: DeadLetter) -> _AddOne | None:
        """What adds a letter; None for one of a record, of which many are added at once."""
        if not letter.whole or is_unshaped(letter):
            return _add_again
        return self._add_body if is_body(letter) else None

    async def _add_records(self, batch: Batch, raws: list[bytes]) -> None:
        batch.add_source(lambda: raws)
        await in_slices(self._records.add_letters(batch, raws))

    async def _add_body(self, batch: Batch, letter: DeadLetter) -> int:
        """Adds the records of a body, or the body as one reject; returns how many these are."""
        body = letter.received
        try:
            page = await in_slices(self._pages.decode(body, received_us=letter.time_us))
        except WorkerError as error:
            batch.add_source(lambda: [body])
            wrong = FieldError("$", error.message, "a document of the configured format")
            batch.rejects.append(Reject(batch.count, "decode", BadBody.code, (wrong,), body))
            batch.count += 1
            return 1
        records = page.facts.count
        batch.add_source(lambda: list(map(page.raw, range(records))))
        batch.records += page.records
        batch.rejects += (
            replace(reject, index=batch.count + reject.index) for reject in page.rejects
        )
        batch.count += records
        return records


async def _add_again(batch: Batch, letter: DeadLetter) -> int:
    """Adds a letter that does not hold its record, as the reject that it was."""
    batch.add_source(lambda: [b""])
    line = msgspec.json.encode(letter)
    batch.rejects.append(
        Reject(batch.count, letter.stage, letter.code, letter.errors, b"", letter=line)
    )
    batch.count += 1
    return 1


_AddOne = Callable[[Batch, DeadLetter], Awaitable[int]]


def _keys(seq: int, line: int, records: int) -> list[bytes]:
    """The identities of what comes of a dead letter: its line in its commit, and from the second
    record on the place in the body."""
    places = ("", *(f":{place}" for place in range(1, records)))[:records]
    return [digest16(f"{seq}:{line}{place}".encode()) for place in places]
