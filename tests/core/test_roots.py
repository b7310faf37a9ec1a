"""What follows from what is found where an output should be: the whole table."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from worker.core.errors import RootUnknown, SinkUnavailable
from worker.core.model import DEAD_LETTERS, RECORDS, CommitRow, Ledger, Root, StagedFile
from worker.core.roots import Decision, Sight, decide, is_root, known_root, look, refuse

IDS = st.sampled_from(["", "x", "y"])
SIGHTS = st.builds(Sight, id=IDS, area=st.booleans())
PATHS = st.sampled_from(["/a", "/b"])
KNOWN = st.none() | st.builds(Root, path=PATHS, id=IDS)


@given(known=KNOWN, here=SIGHTS, there=SIGHTS, commits=st.booleans())
def test_nothing_is_registered_while_commits_may_stand_somewhere_else(
    known: Root | None, here: Sight, there: Sight, commits: bool
) -> None:
    decision = decide(known, "/a", here=here, there=there, has_commits=commits)
    found_here = known is not None and is_root(known, here)
    elsewhere = known is not None and known.path != "/a"
    found_there = known is not None and elsewhere and is_root(known, there)
    if found_here:
        wanted = {Decision.GO_ON, Decision.MOVED, Decision.ADOPT}
    elif known is None and commits:
        wanted = {Decision.ADOPT if here.area else Decision.REFUSE}
    elif known is None:
        wanted = {Decision.REGISTER}
    elif not elsewhere:
        wanted = {Decision.PAUSE}
    elif found_there:
        wanted = {Decision.SWITCH}
    else:
        wanted = {Decision.REFUSE if commits else Decision.REGISTER}
    assert decision in wanted


@pytest.mark.parametrize("configured", ["/a", "/b", "/c"])
def test_what_is_known_is_looked_for_where_it_was_wherever_that_is(configured: str) -> None:
    seen = {"": Sight(), "/b": Sight(id="x")}
    found = look(Root("/b", "x"), configured, seen.__getitem__, has_commits=True)
    assert found == (Sight(), Decision.PAUSE if configured == "/b" else Decision.SWITCH)


@given(known=KNOWN, here=SIGHTS, there=SIGHTS, commits=st.booleans())
def test_what_was_settled_once_stays_so(
    known: Root | None, here: Sight, there: Sight, commits: bool
) -> None:
    """After an attempt that went on, the same root at the same path needs nothing any more."""
    decision = decide(known, "/a", here=here, there=there, has_commits=commits)
    if decision in (Decision.PAUSE, Decision.REFUSE):
        return
    settled = Root(path="/a", id=here.id or "new")
    again = Sight(id=settled.id, area=True)
    assert decide(settled, "/a", here=again, there=there, has_commits=True) is Decision.GO_ON


@pytest.mark.parametrize(
    ("known", "here", "there", "decision"),
    [
        (None, Sight(), Sight(), Decision.REFUSE),
        (None, Sight("x"), Sight(), Decision.REFUSE),
        (None, Sight("x", area=True), Sight(), Decision.ADOPT),
        (Root("/a", "x"), Sight("x"), Sight(), Decision.GO_ON),
        (Root("/a", "x"), Sight("y", area=True), Sight(), Decision.PAUSE),
        (Root("/a", "x"), Sight(), Sight(), Decision.PAUSE),
        (Root("/b", "x"), Sight("x"), Sight(), Decision.MOVED),
        (Root("/b", "x"), Sight("x"), Sight("x"), Decision.MOVED),
        (Root("/b", "x"), Sight(), Sight("x"), Decision.SWITCH),
        (Root("/b", "x"), Sight("y", area=True), Sight("x"), Decision.SWITCH),
        (Root("/b", "x"), Sight(), Sight("y", area=True), Decision.REFUSE),
        (Root("/a", ""), Sight(area=True), Sight(), Decision.ADOPT),
        (Root("/a", ""), Sight("y"), Sight(), Decision.PAUSE),
        (Root("/b", ""), Sight(), Sight(area=True), Decision.SWITCH),
        (Root("/b", ""), Sight(), Sight("y"), Decision.REFUSE),
    ],
)
def test_the_table_of_a_chain_with_commits(
    known: Root | None, here: Sight, there: Sight, decision: Decision
) -> None:
    assert decide(known, "/a", here=here, there=there, has_commits=True) is decision


@given(known=KNOWN, here=SIGHTS, decision=st.sampled_from(Decision))
def test_only_pause_and_refuse_are_errors_and_they_name_the_way_out(
    known: Root | None, here: Sight, decision: Decision
) -> None:
    kinds = {Decision.PAUSE: SinkUnavailable, Decision.REFUSE: RootUnknown}
    if decision not in kinds:
        refuse(decision, "p", known, "/a", here)
        return
    with pytest.raises(kinds[decision]) as caught:
        refuse(decision, "p", known, "/a", here)
    assert "/a" in caught.value.message
    assert "worker state adopt CONFIG p --root" in caught.value.remedy


def test_commits_of_older_formats_tell_where_the_files_of_a_kind_went() -> None:
    commit = CommitRow(
        **dict.fromkeys(("pipeline", "lineage", "id", "at", "previous"), ""),
        **dict.fromkeys(("shard", "seq", "epoch"), 0),
        ledger=Ledger(),
        ends=(),
        files=(file(RECORDS, "/lake"), file(DEAD_LETTERS, "/dead")),
    )
    rebuilt = replace(commit, files=(structs.replace(file(RECORDS, "/lake"), root_id="x"),))
    assert known_root({}, RECORDS, [rebuilt]) == Root(path="/lake", id="x")
    assert known_root({}, DEAD_LETTERS, [commit]) == Root(path="/dead", id="")
    assert known_root({RECORDS: Root("/new", "x")}, RECORDS, [commit]) == Root("/new", "x")
    assert known_root({}, RECORDS, []) is None


def file(kind: str, root: str) -> StagedFile:
    return StagedFile(
        kind=kind,
        root=root,
        staging="s",
        final="f",
        size_bytes=0,
        sha256="",
        rows=0,
        fingerprint="",
    )
