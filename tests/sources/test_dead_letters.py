"""Dead letters as a source."""

from __future__ import annotations

import json

import kit

from worker.core.model import Claim, Cursor, StagedFile
from worker.formats.records import RecordSpec
from worker.paging.planner import PartitionPlanner
from worker.paging.spec import Done, Fetch
from worker.schema import compile_plan, parse_schema
from worker.sources.dead_letters import REPLAY_PLAN, DeadLetters

MOST_PAGES = 50


class GrowingLog:
    """Commits 1 to 3 have dead letters, and every look finds one commit more: what is replayed is rejected again."""

    def __init__(self) -> None:
        self.commits = [1, 2, 3]

    def letter_commits(self, pipeline: str, from_seq: int) -> list[int]:
        found = [seq for seq in self.commits if seq >= from_seq]
        self.commits.append(len(self.commits) + 1)
        return found

    def files(self, pipeline: str, seq: int) -> list[StagedFile]:
        return []


async def test_a_replay_that_mends_nothing_ends_before_its_own_rejects() -> None:
    replay = DeadLetters(
        "items", GrowingLog(), compile_plan(parse_schema(json.dumps(kit.SCHEMA))), RecordSpec()
    )
    planner = PartitionPlanner(
        REPLAY_PLAN, Claim("default", 1, 0, Cursor(), frozenset(), frozenset())
    )
    for pages in range(MOST_PAGES):
        todo = planner.next(float(pages))
        if isinstance(todo, Done):
            assert pages == 3
            return
        assert isinstance(todo, Fetch)
        planner.accept(todo, await replay("default", todo), float(pages))
    raise AssertionError(f"no end after {MOST_PAGES} pages")
