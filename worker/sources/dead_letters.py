"""Dead letters as a source: what was rejected is read again, decoded with the schema of now, and committed like any page.

A page is the dead letters of one commit. The mark is the number of that commit, boundary keys are the lines of it, so the rules
of incremental sources make a second replay bring nothing, also after a kill. What is rejected again becomes a new dead letter, in
a later commit than the mark: it is replayed next time. This time ends at the commits that were there when it began, or a replay
that mends nothing would read its own rejects for ever.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from worker.core.model import StagedFile
from worker.core.ports import Plan
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


class Letters(Protocol):
    """What is read of a commit log."""

    def letter_commits(self, pipeline: str, from_seq: int) -> list[int]:
        """Numbers of the commits from `from_seq` on that have dead letters."""

    def files(self, pipeline: str, seq: int) -> list[StagedFile]:
        """The files of a commit."""


def letters_of(log: Letters, pipeline: str, seq: int) -> Iterator[dict[str, Any]]:
    """The dead letters of a commit in order; those whose file was taken away are not there."""
    for file in log.files(pipeline, seq):
        path = Path(file.root) / file.final
        if file.kind == "dead_letters" and path.exists():
            with path.open("rb") as lines:
                yield from map(msgspec.json.decode, lines)


def raw_of(letter: dict[str, Any]) -> bytes:
    """The record as it was received."""
    return letter["raw"].encode() if "raw" in letter else base64.b64decode(letter["raw_base64"])


class DeadLetters:
    """The `Attempt` of a replay."""

    def __init__(self, pipeline: str, log: Letters, plan: Plan, limits: RecordSpec) -> None:
        self._pipeline, self._log = pipeline, log
        self._last: int | None = None  # the last commit of this replay
        self._records = RecordDecoder(limits, plan)

    async def __call__(self, partition: str, fetch: Fetch) -> Reply:
        """The letters of the commit at the position, or of the first one from the mark on."""
        asked = dict(fetch.address.params or {}).get("seq") or fetch.since or 0
        if self._last is None:
            self._last = max(self._log.letter_commits(self._pipeline, 0), default=0)
        commits = [
            seq for seq in self._log.letter_commits(self._pipeline, int(asked)) if seq <= self._last
        ]
        if not commits:
            return Reply(None)
        letters = list(letters_of(self._log, self._pipeline, commits[0]))
        raws = [raw_of(letter) for letter in letters]
        batch = Batch()
        batch.source(lambda: raws)
        await in_slices(self._records.add_raws(batch, raws, sized=True))
        decoded = batch.decoded({"next": commits[1] if len(commits) > 1 else None})
        facts = decoded.facts
        facts.values = [commits[0]] * len(letters)
        facts.keys = [
            blake2b(f"{commits[0]}:{line}".encode(), digest_size=16).digest()
            for line in range(len(letters))
        ]
        facts.size_bytes = sum(map(len, raws))
        return Reply(decoded)
