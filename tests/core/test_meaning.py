"""What a changed config means for stored cursors: refused, adoptable, or of no effect on them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_settings import pipeline

from worker.core.adoption import adoption, told
from worker.core.cursor import Cursor, PassState
from worker.core.errors import ConfigError
from worker.core.meaning import Change, change, groups, refuse_changed
from worker.core.model import REPLAYED, PartitionRow

CURSOR = {"type": "cursor", "from": {"body": "n"}, "to": {"param": "c"}}
PAGE = {"type": "page", "param": "p", "size_param": "s", "size": 10}
WINDOW = {"type": "window", "start_param": "a", "end_param": "b", "size": "1d"}
MARK = {"field": "at", "param": "since", "initial": "2024-01-01T00:00:00Z"}
RANGE = {"field": "at", "initial": "2024-01-01T00:00:00Z"}
TOKEN = {"from": {"body": "delta"}, "param": "token"}
MARKED = Cursor(pass_no=3, mark=7)
MARKS, FLAG, COUNT = st.none() | st.integers(0, 9), st.booleans(), st.integers(0, 9)
BEGUN = Cursor(pass_no=3, received=20, position=PassState(at={"page": 3}, pages=2))


def changed(
    before: dict[str, Any], after: dict[str, Any], *, cursor: Cursor = MARKED, keyed: bool = True
) -> Change:
    known, now = pipeline(**before).meaning(), pipeline(**after).meaning()
    return change(known, now, cursors=[Cursor(), cursor], keyed=keyed)


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ({"params": {"a": 1, "b": 1}}, {"params": {"a": 2, "b": 1}}, ("params.a",)),
        ({}, {"params": {"a": 1}}, ("params.a",)),
        ({"params": {"a": 1}}, {}, ("params.a",)),
        ({"url": "https://a/b"}, {"url": "https://a/c"}, ("url",)),
        ({"headers": {"X-Tenant": "a"}}, {"headers": {"x-tenant": "b"}}, ("headers.x-tenant",)),
        (
            {"pagination": CURSOR},
            {"pagination": {**CURSOR, "from": {"body": "m"}}},
            ("pagination.from.body",),
        ),
        ({"records": "a"}, {"records": "b"}, ("records",)),
        ({"key": ["a"]}, {"key": ["b"]}, ("key",)),
        (
            {"incremental": MARK},
            {"incremental": {**MARK, "format": {"record": "epoch_s"}}},
            ("incremental.format.record",),
        ),
    ],
)
def test_a_change_is_named_by_its_keys(
    before: dict[str, Any], after: dict[str, Any], names: tuple[str, ...]
) -> None:
    found = changed(before, after)
    assert found.keys == names
    with pytest.raises(ConfigError) as caught:
        refuse_changed("items", found)
    assert f"source.{names[0]} changed" in caught.value.message
    for way in ("put it back", "`worker state adopt CONFIG items`", "`worker state reset"):
        assert way in caught.value.remedy


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"incremental": MARK}, {"incremental": {**MARK, "order": "any"}}),
        ({"incremental": {**MARK, "order": "descending"}}, {"incremental": MARK}),
        ({"pagination": PAGE}, {"pagination": {**PAGE, "size": 20}}),
        (
            {"incremental": RANGE, "pagination": WINDOW},
            {"incremental": RANGE, "pagination": {**WINDOW, "size": "2d", "lag": "5m"}},
        ),
        (
            {"incremental": RANGE, "pagination": {**PAGE, "within": WINDOW}},
            {"incremental": RANGE, "pagination": {**PAGE, "within": {**WINDOW, "size": "2d"}}},
        ),
        ({}, {"auth": {"type": "bearer", "token": "x"}}),
        ({}, {"headers": {"Authorization": "x"}}),
    ],
)
def test_what_counts_from_the_next_pass_on_is_no_change(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    for cursor in (MARKED, BEGUN):
        assert not changed(before, after, cursor=cursor)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"incremental": MARK}, {"incremental": {**MARK, "field": "created_at"}}),
        ({"incremental": MARK}, {"incremental": TOKEN}),
        ({"incremental": MARK}, {}),
        (
            {"incremental": MARK},
            {"incremental": RANGE, "pagination": WINDOW},
        ),
        ({"incremental": MARK}, {"incremental": {**MARK, "format": {"record": "string"}}}),
        ({"partitions": {"p": ["a"]}}, {"partitions": {"q": ["a"]}}),
    ],
)
def test_a_change_after_which_marks_say_nothing_can_only_be_reset(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    found = changed(before, after)
    assert found.ends_marks
    with pytest.raises(ConfigError, match="changed since") as caught:
        refuse_changed("items", found)
    assert "has no way" in caught.value.remedy and "state reset" in caught.value.remedy
    rows = [PartitionRow("default", 1, 1, MARKED.to_json())]
    known, now = pipeline(**before).meaning(), pipeline(**after).meaning()
    with pytest.raises(ConfigError, match="marks cannot be kept") as caught:
        adoption("items", rows, known=known, now=now, remembered={})
    assert "state reset CONFIG --pipeline items" in caught.value.remedy
    named = [f"source.{each}" for each in found.ends_marks if each != "mark"]
    assert all(each in caught.value.message for each in named)
    # without a mark nothing is lost
    assert not changed(before, after, cursor=BEGUN).ends_marks


def test_nothing_rests_on_a_config_before_a_cursor_of_the_source_moved() -> None:
    known, now = pipeline(url="https://a/b").meaning(), pipeline(url="https://a/c").meaning()
    assert not change(known, now, cursors=[Cursor()], keyed=True)
    assert not change({}, now, cursors=[MARKED], keyed=True)
    assert change(known, now, cursors=[Cursor(), MARKED], keyed=True)


def test_a_key_may_change_while_no_record_has_had_it() -> None:
    keys = {"before": {"key": ["Id"]}, "after": {"key": ["id"]}, "keyed": False}
    assert not changed(**keys, cursor=BEGUN)
    found = changed(**keys, cursor=BEGUN.evolve(keyed=True))
    assert found.keys == found.ends_keys == ("key",)


def test_of_an_older_fingerprint_whole_groups_are_compared() -> None:
    source = {"incremental": MARK, "params": {"a": 1}}
    known = groups(pipeline(**source).meaning())
    for later in ("key", "method", "headers"):
        known.pop(later)
    for other, names in (
        (source, ()),
        ({**source, "headers": {"X-A": "b"}}, ()),
        ({**source, "params": {"a": 2}}, ("params",)),
        ({**source, "incremental": {**MARK, "order": "any"}}, ("incremental",)),
    ):
        now = pipeline(**other).meaning()
        assert change(known, now, cursors=[MARKED], keyed=True).keys == names
    now = pipeline(**{**source, "incremental": {**MARK, "order": "any"}}).meaning()
    rows = [PartitionRow("default", 1, 1, MARKED.to_json())]
    with pytest.raises(ConfigError, match="stored it as a whole") as caught:
        adoption("items", rows, known=known, now=now, remembered={})
    assert "for one run" in caught.value.remedy


# -- adoption --------------------------------------------------------------------------------------


def rows_of(**cursors: Cursor) -> list[PartitionRow]:
    return [PartitionRow(name, 1, 1, cursor.to_json()) for name, cursor in cursors.items()]


def test_a_snapshot_in_progress_says_how_many_records_come_again_under_which_pass() -> None:
    found = adoption(
        "items",
        rows_of(a=BEGUN, b=Cursor(pass_no=2), c=Cursor()),
        known=pipeline(params={"a": 1}).meaning(),
        now=pipeline(params={"a": 2}).meaning(),
        remembered={"a": 20},
    )
    [part] = found.partitions
    assert (part.records_again, part.after) == (20, Cursor(pass_no=4))
    assert not found.remaining and not found.forgets_keys
    lines = list(told("items", found, most=9))
    assert lines[0] == "pipeline items: source.params.a changed since its cursors were stored"
    assert "a: pass 3 in progress is dropped (2 pages read" in lines[1]
    assert "its 20 records come again under pass 4" in lines[1]


@pytest.mark.parametrize(
    ("changes", "forgotten"),
    [
        ({"params": {"a": 2}}, 0),
        ({"key": ["id", "x"]}, 5),
        ({"incremental": {**MARK, "format": {"record": "epoch_s"}}}, 5),
        ({"pagination": PAGE}, 0),
    ],
)
def test_an_incremental_pass_keeps_mark_and_keys_unless_key_or_format_changed(
    changes: dict[str, Any], forgotten: int
) -> None:
    source = {"incremental": MARK, "key": ["id"], "pagination": CURSOR}
    begun = BEGUN.evolve(mark=7, snapshot_mark=9)
    found = adoption(
        "items",
        rows_of(default=begun, idle=MARKED),
        known=pipeline(**source).meaning(),
        now=pipeline(**{**source, **changes}).meaning(),
        remembered={"default": 5, "idle": 1, REPLAYED: 9},
    )
    begun_part = found.partitions[0]
    assert begun_part.after == Cursor(pass_no=3, mark=7)
    assert begun_part.keys_forgotten == begun_part.records_again == forgotten
    assert found.forgets_keys == bool(forgotten)
    assert [each.partition for each in found.partitions] == (
        ["default", "idle"] if forgotten else ["default"]
    )


@given(cursor=st.builds(Cursor, mark=MARKS, floor=MARKS, keyed=FLAG, token_seen=FLAG, redone=COUNT))
@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"params": {"a": 2}}, set()),
        ({"key": ["id", "x"]}, {"keyed"}),
        ({"pagination": PAGE}, {"token_seen"}),
    ],
)
def test_a_cursor_forgets_only_what_rests_on_the_change(
    changes: dict[str, Any], lost: set[str], cursor: Cursor
) -> None:
    source = {"incremental": MARK, "key": ["id"], "pagination": CURSOR}
    found = adoption(
        "items",
        rows_of(default=cursor.evolve(position=PassState(at={"page": 3}, pages=2), received=20)),
        known=pipeline(**source).meaning(),
        now=pipeline(**{**source, **changes}).meaning(),
        remembered={"default": 5},
    )
    after = found.partitions[0].after
    assert after.keyed == (cursor.keyed and "keyed" not in lost)
    assert after.token_seen == (cursor.token_seen and "token_seen" not in lost)
    # below the floor no key is kept; with the keys it goes, unless a mark stands in its place
    assert after.floor == (None if "keyed" in lost and cursor.mark is None else cursor.floor)
    assert (after.mark, after.redone, after.position) == (cursor.mark, 0, None)


def test_programs_are_told_what_is_dropped_of_each_partition() -> None:
    source = {"incremental": MARK, "key": ["id"]}
    found = adoption(
        "items",
        rows_of(begun=BEGUN, idle=MARKED),
        known=pipeline(**source).meaning(),
        now=pipeline(**{**source, "key": ["x"]}).meaning(),
        remembered={"begun": 5, "idle": 2},
    )
    assert [
        (part["pass_dropped"], part["pages_dropped"], part["next_pass"], part["keys_forgotten"])
        for part in (each.to_json() for each in found.partitions)
    ] == [(3, 2, 3, 5), (None, 0, 3, 2)]


def test_partitions_that_were_read_once_are_counted_and_stay_complete() -> None:
    keys = {
        "known": pipeline(params={"a": 1}).meaning(),
        "now": pipeline(params={"a": 2}).meaning(),
        "remembered": {},
    }
    said = "read once and stay complete"
    one = adoption("items", rows_of(a=BEGUN, b=Cursor(complete=True)), **keys)
    assert one.complete == 1 and said in "\n".join(told("items", one, most=9))
    none = adoption("items", rows_of(a=BEGUN), **keys)
    assert none.complete == 0 and said not in "\n".join(told("items", none, most=9))


def test_a_mark_of_another_kind_where_there_was_none_reads_anew() -> None:
    found = adoption(
        "items",
        rows_of(default=BEGUN),
        known=pipeline(key=["id"]).meaning(),
        now=pipeline(key=["id"], incremental=MARK).meaning(),
        remembered={"default": 20},
    )
    assert found.reads_anew and found.forgets_keys
    assert "what earlier passes brought comes again" in "\n".join(told("items", found, most=9))


def test_a_config_is_accepted_when_no_partition_rests_on_the_old_one() -> None:
    keys = {
        "known": pipeline(params={"a": 1}).meaning(),
        "now": pipeline(params={"a": 2}).meaning(),
        "remembered": {},
    }
    rows = rows_of(a=BEGUN, b=BEGUN, c=Cursor(pass_no=2))
    first = adoption("items", rows, only="a", **keys)
    assert (list(first.cursors), first.remaining) == (["a"], ("b",))
    rows = rows_of(a=first.cursors["a"], b=BEGUN, c=Cursor(pass_no=2))
    second = adoption("items", rows, only="b", **keys)
    assert (list(second.cursors), second.remaining) == (["b"], ())
    with pytest.raises(ConfigError, match="no partition 'z'"):
        adoption("items", rows, only="z", **keys)


def test_a_replay_rests_on_no_source() -> None:
    found = adoption(
        "items",
        rows_of(**{REPLAYED: BEGUN}),
        known=pipeline(params={"a": 1}).meaning(),
        now=pipeline(params={"a": 2}).meaning(),
        remembered={REPLAYED: 3},
    )
    assert not found.change and not found.partitions
    assert "nothing to adopt" in next(told("items", found, most=9))


@given(
    st.dictionaries(st.text(min_size=1), st.integers() | st.text(), max_size=4),
    st.dictionaries(st.text(min_size=1), st.integers() | st.text(), max_size=4),
)
def test_two_sets_of_parameters_differ_exactly_in_the_named_ones(
    one: dict[str, Any], two: dict[str, Any]
) -> None:
    found = changed({"params": one}, {"params": two})
    missing = object()
    differ = {name for name in {*one, *two} if one.get(name, missing) != two.get(name, missing)}
    assert set(found.keys) == {f"params.{name}" for name in differ}
    assert not found.ends_marks and not found.ends_keys
