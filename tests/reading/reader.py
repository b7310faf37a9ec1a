"""A partition read as the worker reads it, without its IO: a config as a user writes it, the real
decoder, the planner, and a commit log in memory.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from worker.core.errors import WorkerError
from worker.core.model import Claim, ProgressSum, Request
from worker.core.news import has_moved
from worker.http.source_clock import answered_us
from worker.paging.planner import PartitionPlanner
from worker.paging.spec import Accepted, Done, Fetch, PagingSpec, PassEnd, Reply, Wait
from worker.runtime.slices import at_once
from worker.settings import load_settings
from worker.sources.requests import build_request
from worker.testing.commit_log_contract import Owner
from worker.testing.memory_log import MemoryCommitLog
from worker.wiring.parts import Parts
from worker.wiring.pipelines import paging_spec

URL = "http://127.0.0.1:1/items"
NOW_S = 1_700_000_000
MOST_FETCHES = 200

SCHEMA = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "n", "type": "long"},
        {"name": "id", "type": "long"},
        {"name": "u", "type": "long"},
        {"name": "kind", "type": "string", "default": ""},
        {"name": "nothing", "type": ["null", "long"], "default": None},
        {"name": "partly", "type": ["null", "long"], "default": None},
    ],
}


class ManualClock:
    """Time that moves only when it is told to; the two clocks of a process may differ."""

    def __init__(self) -> None:
        self.now_s = float(NOW_S)

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")


@dataclass(frozen=True)
class Page:
    """An answer of a model server."""

    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Callable[[Request], Page]


@dataclass(frozen=True)
class Setting:
    """What a config comes to."""

    parts: Parts
    paging: PagingSpec
    clock: ManualClock

    @property
    def completeness(self) -> str:
        """What `check` promises."""
        return self.parts.completeness


@cache
def setting(source: str) -> Setting:
    """A config with this `source`, which is JSON (and so YAML). Raises ConfigError."""
    document = {
        "version": 1,
        "pipelines": {
            "items": {
                "source": {"url": URL, **json.loads(source)},
                "schema": "item.avsc",
                "sink": {"path": "lake"},
            }
        },
    }
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "item.avsc").write_text(json.dumps(SCHEMA))
        (directory / "config.yaml").write_text(json.dumps(document))
        config = load_settings([directory / "config.yaml"]).pipelines["items"]
        parts = Parts.of("items", config)
    clock = ManualClock()
    return Setting(parts, paging_spec(parts, once=True, clock=clock), clock)


@dataclass
class Reader:
    """Reads a model server, pass by pass, through a commit log.

    Attributes:
        committed: `n` of the records in commits, in order.
        ends: of the passes that were committed.
        uncommitted: pages that the last process asked for in vain.
    """

    source: Mapping[str, Any]
    answer: Answer
    log: MemoryCommitLog = field(default_factory=MemoryCommitLog)
    committed: list[int] = field(default_factory=list)
    ends: list[PassEnd] = field(default_factory=list)
    uncommitted: int = 0

    def __post_init__(self) -> None:
        self.setting = setting(json.dumps(self.source))
        self.clock = self.setting.clock
        self.clock.now_s = float(NOW_S)

    def read(self, *, pages: int = MOST_FETCHES, commits_every: int = 1) -> WorkerError | None:
        """One process: it makes a pass, or the rest of one.

        What was accepted since the last commit is lost when it is killed after so many `pages`.
        Returns the error that ended it.
        """
        self.log.load("items", {})
        self._owner = Owner(self.log, "default", pipeline="items")
        claim = self._owner["default"]
        planner = PartitionPlanner(self.setting.paging, claim)
        staged: list[Accepted] = []
        asked = self.uncommitted = 0
        try:
            while isinstance(fetch := planner.next(self.clock.monotonic()), Fetch):
                if asked == pages:
                    return None  # killed
                asked, self.uncommitted = asked + 1, self.uncommitted + 1
                assert asked < MOST_FETCHES, "the pass does not end"
                staged += planner.accept(fetch, self._reply(fetch), self.clock.monotonic())
                if len(staged) >= commits_every:
                    claim = self._commit(claim, staged)
        except WorkerError as error:
            self._commit(claim, staged)
            return error
        assert isinstance(fetch, Done | Wait), fetch
        self._commit(claim, staged)
        return None

    def _reply(self, fetch: Fetch) -> Reply:
        config = self.setting.parts.config.source
        request = build_request(config, fetch, {})
        page = self.answer(request)
        body = json.dumps(page.body).encode()
        decoded = at_once(
            self.setting.parts.pages.decode(
                body,
                url=request.url,
                received_us=round(self.clock.time() * 1e6),
            )
        )
        ours_us = round(self.clock.time() * 1e6)
        theirs_us = answered_us(page.headers)
        return Reply(decoded, page.headers, now_us=min(ours_us, theirs_us or ours_us))

    def _commit(self, claim: Claim, staged: list[Accepted]) -> Claim:
        """The claim after a commit of the pages, in one transaction; the same where they have
        brought nothing that is worth one.
        """
        if not staged:
            return claim
        step = ProgressSum(staged[0].progress)
        for each in staged[1:]:
            step.add(each.progress)
        if has_moved(claim.cursor, step) or any(each.decoded.records for each in staged):
            made = self._owner.commit({"default": step.total()})
            claim = Claim(claim.partition, made.seq, step.cursor)
        for each in staged:
            self.committed += [_serial(record) for record in each.decoded.records]
            if each.pass_end is not None:
                self.ends.append(each.pass_end)
        self.uncommitted -= len(staged)
        staged.clear()
        return claim


def _serial(record: Any) -> int:
    """`n`, the first field of the schema."""
    serial: int = getattr(record, record.__struct_fields__[0])
    return serial
