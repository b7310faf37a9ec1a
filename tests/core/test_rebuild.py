"""What a checkpoint and the records of later commits make is the chain that the log has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from worker.core.checkpoint import Checkpoint, decoded, encoded
from worker.core.cursor import Cursor
from worker.core.digest import commit_record
from worker.core.errors import StateError
from worker.core.model import Progress
from worker.core.rebuild import ChainRebuild, whole_record
from worker.testing.commit_log_contract import MEANING, Owner, staged
from worker.testing.memory_log import MemoryCommitLog

NAMES = ("a", "b", "@dead_letters")


@dataclass(frozen=True)
class Step:
    """One commit, and what an operator does before it."""

    names: frozenset[str]
    values: frozenset[int]
    floor: int | None
    tokens: frozenset[int]
    cleared: bool
    before: str
    fingerprint: str
    schema: str


STEPS = st.builds(
    Step,
    names=st.frozensets(st.sampled_from(NAMES), min_size=1),
    values=st.frozensets(st.integers(0, 9), max_size=4),
    floor=st.none() | st.integers(0, 9),
    tokens=st.frozensets(st.integers(0, 5), max_size=3),
    cleared=st.booleans(),
    before=st.sampled_from(["", "", "", "claim", "set", "reset", "adopt"]),
    fingerprint=st.sampled_from(["", "f" * 16, "e" * 16]),
    schema=st.sampled_from(['"int"', '"long"']),
)


@dataclass
class History:
    """A log, and what stands beside its output."""

    log: MemoryCommitLog = field(default_factory=MemoryCommitLog)
    records: list[bytes] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log.load("p", MEANING)
        self.owner = Owner(self.log, *NAMES)
        self.checkpoints.append(self.log.checkpoint("p"))

    def step(self, number: int, step: Step) -> None:
        self._operate(step.before, min(step.names))
        floor = step.floor
        progress = Progress(
            Cursor(received=number),
            tuple((each, bytes([each]) * 16) for each in sorted(step.values)),
            floor,
            tuple(bytes([each]) * 16 for each in sorted(step.tokens)),
            step.cleared,
        )
        files = (staged(number, fingerprint=step.fingerprint),) if step.fingerprint else ()
        known, text = self.log.schemas("p"), f"{step.fingerprint} {step.schema}"
        made = self.owner.draft(
            dict.fromkeys(sorted(step.names), progress), files=files, schema=text
        )
        said = text if files and text not in known else ""
        record = commit_record(
            made, owner=self.owner.chain.owner, schema=said, meaning=MEANING if number == 1 else {}
        )
        self.log.commit(made)
        self.owner.seq, self.owner._digest = made.row.seq, made.row.digest
        self.owner.seqs.update(dict.fromkeys(step.names, made.row.seq))
        self.records.append(record)
        self.checkpoints.append(self.log.checkpoint("p"))

    def _operate(self, what: str, name: str) -> None:
        if what == "set":
            self.log.set_mark("p", name, 7)
        elif what == "reset":
            self.log.reset("p", name)
        elif what == "adopt":
            self.log.adopt("p", {name: Cursor()}, forget_keys=False, fingerprint=None)
        if what:
            self.owner = Owner(self.log, *NAMES)

    def rebuilt(self, begin: int) -> Checkpoint:
        rebuild = ChainRebuild(self.checkpoints[begin])
        for data in self.records[begin:]:
            record = whole_record(data)
            assert record is not None
            rebuild.add(record)
        return rebuild.chain()


def comparable(chain: Checkpoint) -> dict[str, Any]:
    """What must be the same: all but partitions that no commit has moved since an operator did, and
    what only the log knows.
    """
    document = msgspec.to_builtins(chain)
    for name in ("epoch", "published", "owners", "meaning"):
        document.pop(name, None)
    document["schemas"] = {each["fingerprint"]: each for each in document.get("schemas", ())}
    document["partitions"] = {
        each["partition"]: each for each in document.get("partitions", ()) if each["seq"]
    }
    return document  # type: ignore[no-any-return]


@given(steps=st.lists(STEPS, min_size=1, max_size=8), data=st.data())
def test_a_chain_is_rebuilt_from_any_of_its_checkpoints(
    steps: list[Step], data: st.DataObject
) -> None:
    history = History()
    for number, step in enumerate(steps, 1):
        history.step(number, step)
    begin = data.draw(st.integers(0, len(steps)))
    found, truth = history.rebuilt(begin), history.log.checkpoint("p")
    assert comparable(found) == comparable(truth)
    assert found.meaning == MEANING
    assert set(found.owners) == set(truth.owners)
    assert found.epoch == truth.epoch or steps[-1].before == ""


@given(steps=st.lists(STEPS, min_size=2, max_size=5), data=st.data())
def test_a_record_that_is_missing_or_changed_is_noticed(
    steps: list[Step], data: st.DataObject
) -> None:
    history = History()
    for number, step in enumerate(steps, 1):
        history.step(number, step)
    at = data.draw(st.integers(0, len(steps) - 2))
    rebuild = ChainRebuild(history.checkpoints[0])
    with pytest.raises(StateError, match="does not follow"):
        for data_of in (*history.records[:at], *history.records[at + 1 :]):
            record = whole_record(data_of)
            assert record is not None
            rebuild.add(record)
    text = history.records[at]
    assert whole_record(text.replace(b'"at":"2024', b'"at":"2025')) is None
    assert whole_record(text[:-1]) is None and whole_record(b"\xff") is None


def test_keys_that_were_added_by_hand_are_noticed() -> None:
    history = History()
    step = Step(frozenset("a"), frozenset({1}), None, frozenset({2}), False, "", "", '"int"')
    history.step(1, step)
    (part,) = (each for each in history.checkpoints[1].partitions if each.partition == "a")
    other = structs.replace(part, boundary=((1, b"k" * 32),))
    wrong = structs.replace(history.checkpoints[1], partitions=(other,))
    with pytest.raises(StateError, match=r"partition a .* is not what commit 1 says"):
        ChainRebuild(wrong).chain()


@given(steps=st.lists(STEPS, max_size=5))
def test_a_checkpoint_is_read_as_it_was_written_or_not_at_all(steps: list[Step]) -> None:
    history = History()
    for number, step in enumerate(steps, 1):
        history.step(number, step)
    data = encoded(history.checkpoints[-1])
    assert decoded(data) == history.checkpoints[-1]
    for cut in (0, 1, len(data) // 2, len(data) - 1):
        assert decoded(data[:cut]) is None
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    assert decoded(bytes(flipped)) is None
    assert decoded(encoded(structs.replace(history.checkpoints[-1], v=99))) is None


@pytest.mark.parametrize("version", [-1, 0, 1, 3, None, "2"])
def test_a_record_of_another_version_is_not_whole(version: Any) -> None:
    history = History()
    Owner(history.log, "a")
    (record,) = [
        commit_record(Owner(history.log, "a").draft({"a": Progress(Cursor(received=1))}), owner="o")
    ]
    assert whole_record(record) is not None
    changed = {**msgspec.json.decode(record), "v": version}
    assert whole_record(msgspec.json.encode(changed)) is None
