"""Dead letters as a source."""

from __future__ import annotations

import json

import kit
import msgspec

from worker.core.cursor import Cursor
from worker.core.dead_letter import Rejection, dead_letter_line
from worker.core.model import DEAD_LETTERS, Chunk, Claim, Reject
from worker.formats.json import JsonPages
from worker.formats.records import PageSpec, RecordSpec
from worker.paging.planner import PartitionPlanner
from worker.paging.spec import Done, Fetch, Reply
from worker.schema import compile_plan, parse_schema
from worker.schema.stored import store
from worker.sources.dead_letters import REPLAY_PLAN, DeadLetters
from worker.testing.commit_log_contract import Owner
from worker.testing.memory_log import MemoryCommitLog
from worker.testing.memory_sink import MemoryRoot, MemorySink, MemoryStore

MOST_PAGES = 50
PLAN = compile_plan(parse_schema(json.dumps(kit.SCHEMA)))
PAGES = JsonPages(PageSpec("items"), PLAN, prefix=b")]}'")


class Instance:
    """A pipeline that rejects: a log and the dead letters that its commits name."""

    def __init__(self) -> None:
        self.log, self.store = MemoryCommitLog(), MemoryStore()
        self.log.load("items", {})
        self.owner = Owner(self.log, pipeline="items")
        self.sink = MemorySink(self.store, self.owner.chain, kind=DEAD_LETTERS)
        self.seq = 0

    def commit(self, *ids: int) -> None:
        """One commit with a dead letter for each id, or with none."""
        self.commit_raws(*(msgspec.json.encode(kit.item(each, second=each)) for each in ids))

    def commit_raws(self, *raws: bytes) -> None:
        """One commit with a dead letter for each record."""
        self.commit_rejects(
            *(Reject(number, "validate", "invalid", (), raw) for number, raw in enumerate(raws))
        )

    def commit_rejects(self, *rejects: Reject) -> None:
        """One commit with a dead letter for each reject."""
        self.seq += 1
        self.sink.begin(self.seq)
        for reject in rejects:
            line = dead_letter_line(
                reject,
                Rejection(
                    pipeline="items",
                    partition="default",
                    seq=self.seq,
                    position=None,
                    at="2024-01-01T00:00:00.000Z",
                    fingerprint="f" * 16,
                ),
            )
            self.sink.write(Chunk("", "f" * 16, 1, line))
        files = self.sink.seal()
        self.owner.commit({}, files=files)
        self.sink.publish(self.seq, files)

    def replay(self) -> DeadLetters:
        root = MemoryRoot(self.store, DEAD_LETTERS)
        return DeadLetters("items", self.log, root, PLAN, RecordSpec(), PAGES)


async def read(instance: Instance, *, each_page: int = 0, mark: int | None = None) -> list[int]:
    """The ids of all letters of a replay; with every page comes a commit of so many new ones."""
    replay = instance.replay()
    planner = PartitionPlanner(REPLAY_PLAN, Claim("@dead_letters", 0, Cursor(mark=mark)))
    ids: list[int] = []
    for pages in range(MOST_PAGES):
        todo = planner.next(float(pages))
        if isinstance(todo, Done):
            return ids
        assert isinstance(todo, Fetch)
        reply = await replay("@dead_letters", todo, kit.AnyRoom())
        if each_page:
            instance.commit(*range(each_page))
        for page in planner.accept(todo, reply, float(pages)):
            ids += [record.f0 for record in page.decoded.records]
    raise AssertionError(f"did not end within {MOST_PAGES} pages")


async def test_every_letter_that_waits_is_read_once_in_order() -> None:
    instance = Instance()
    instance.commit(1, 2)
    instance.commit()
    instance.commit(3)
    instance.commit(4, 5)
    assert await read(instance) == [1, 2, 3, 4, 5]
    assert await read(instance, mark=3) == [3, 4, 5]


async def test_without_letters_there_is_nothing_to_replay() -> None:
    instance = Instance()
    assert await read(instance) == []
    instance.commit()
    assert await read(instance) == []


async def test_letters_whose_file_was_taken_away_are_not_missed() -> None:
    instance = Instance()
    instance.commit(1)
    instance.commit(2)
    root = MemoryRoot(instance.store, DEAD_LETTERS)
    (first, _) = instance.log.commits("items")
    root.delete(first.files[0])
    assert await read(instance) == [2]


async def test_a_replay_that_mends_nothing_ends_before_its_own_rejects() -> None:
    instance = Instance()
    for number in (1, 2, 3):
        instance.commit(number)
    assert await read(instance, each_page=1) == [1, 2, 3]


async def test_datums_are_replayed_and_what_imitates_them_is_not() -> None:
    raw = msgspec.json.encode(kit.item(7, second=7))
    stored = store(raw, PLAN.encode([PLAN.one(raw)]), PLAN.schema)
    instance = Instance()
    instance.commit_raws(stored, raw, stored.replace(b"avro\n[", b'["avro",'), b'["avro",{}]')
    assert await read(instance) == [7, 7]


def body(*ids: int, prefix: bytes = b"", bad: bool = False) -> Reject:
    """A body that was rejected as a whole."""
    items = [kit.item(each, second=each, bad=bad and each == ids[0]) for each in ids]
    return Reject(0, "decode", "bad_body", (), prefix + msgspec.json.encode({"items": items}))


def record(number: int) -> Reject:
    return Reject(0, "validate", "invalid", (), msgspec.json.encode(kit.item(number, second=0)))


async def first_page(instance: Instance) -> Reply:
    planner = PartitionPlanner(REPLAY_PLAN, Claim("@dead_letters", 0, Cursor()))
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch)
    return await instance.replay()("@dead_letters", todo, kit.AnyRoom())


async def test_a_body_that_was_rejected_whole_is_read_as_the_bodies_of_the_source_are_now() -> None:
    instance = Instance()
    instance.commit_rejects(record(1), body(2, 3, prefix=b")]}'\n"), record(4), body(5))
    instance.commit_rejects(body())
    instance.commit_rejects(body(6, 7))
    assert await read(instance) == [1, 2, 3, 4, 5, 6, 7]
    page = (await first_page(instance)).decoded
    assert page is not None
    assert len(set(page.facts.keys)) == page.facts.count == len(page.facts.came_each) == 5


async def test_what_is_still_wrong_of_a_body_is_a_dead_letter_again() -> None:
    instance = Instance()
    whole = Reject(0, "decode", "bad_body", (), b"<html>")
    instance.commit_rejects(whole, body(2, 3, bad=True), whole, record(4))
    page = (await first_page(instance)).decoded
    assert page is not None
    assert [each.f0 for each in page.records] == [3, 4] and page.indices == [2, 4]
    found = [(each.index, each.stage, each.code, each.raw) for each in page.rejects]
    bad = msgspec.json.encode(kit.item(2, second=2, bad=True))
    assert found == [
        (0, "decode", "bad_body", b"<html>"),
        (1, "validate", "invalid", bad),
        (3, "decode", "bad_body", b"<html>"),
    ]
    assert [page.raw(place) for place in (0, 1)] == [b"<html>", bad]
