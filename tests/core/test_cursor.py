"""Cursors: what is written is read back, and what any version has stored is understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from worker.core.cursor import (
    CURSOR_LIMIT_BYTES,
    Before,
    Cursor,
    PassState,
    Window,
    WindowState,
)
from worker.core.errors import CursorTooLarge, StateError

CORPUS = json.loads((Path(__file__).parent / "cursors.json").read_text())
marks = st.none() | st.integers(-(2**62), 2**62) | st.text(max_size=8)
whole = st.integers(0, 2**40)
json_values = st.recursive(
    st.none() | st.booleans() | whole | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=4,
)
windows = st.builds(
    WindowState,
    st.builds(Window, whole, whole, whole, st.lists(whole, max_size=3).map(tuple)),
    marks,
    st.builds(Before, whole, whole, st.booleans()),
)
counts = st.integers(0, 2**40)
states = st.builds(
    PassState,
    at=json_values,
    since=json_values,
    order=st.sampled_from(["", "ascending", "any"]),
    size=counts,
    pages=counts,
    fresh=st.booleans(),
    unmarked=st.booleans(),
    window=st.none() | windows,
    validators=json_values,
    last=counts,
    drifted=st.booleans(),
    restarts=counts,
    digest=st.binary(max_size=16),
)


@given(
    state=st.none() | states,
    mark=marks,
    total=st.none() | whole,
    complete=st.booleans(),
    floor=marks,
)
def test_a_cursor_is_read_back_as_it_was_written(
    state: PassState | None, mark: Any, total: int | None, complete: bool, floor: Any
) -> None:
    cursor = Cursor(3, state, mark, mark, 7, total, None, complete, floor, keyed=True)
    text = cursor.to_json()
    assert Cursor.from_json(text) == cursor
    assert Cursor.from_json(text).to_json() == text


@pytest.mark.parametrize("version", sorted({each["version"] for each in CORPUS["cursors"]}))
def test_cursors_of_real_runs_of_every_version_are_understood(version: str) -> None:
    stored = [each["cursor"] for each in CORPUS["cursors"] if each["version"] == version]
    assert stored
    for text in stored:
        cursor, document = Cursor.from_json(text), json.loads(text)
        assert Cursor.from_json(cursor.to_json()) == cursor
        for name in ("mark", "snapshot_mark", "received", "total", "validators", "complete"):
            assert getattr(cursor, name) == document[name]
        assert cursor.pass_no == document["pass"]
        assert (cursor.position is None) == (document["position"] is None)
        if (position := cursor.position) is not None:
            told = document["position"]
            for name in told.keys() - {"window", "marked", "before"}:
                assert getattr(position, name) == told[name]
            assert (position.window is None) == ("window" not in told)
            if position.window is not None:
                assert position.window.window.start == told["window"]["start"]
                assert position.window.window.ends == tuple(told["window"]["ends"])
                assert position.window.marked == told["marked"]
                assert position.window.before.received == told["before"]["received"]


def test_a_state_is_printed_in_words() -> None:
    window = WindowState(
        Window(1_714_979_289_000_000, 1_714_979_290_500_000, 1_714_979_390_000_000), None
    )
    state = PassState(at={"offset": 200}, since="2024", unmarked=False, window=window)
    assert str(state.evolve(pages=2)) == (
        "2 pages read, the next one is at offset 200, in the window from "
        "2024-05-06T07:08:09Z to 2024-05-06T07:08:10.500000Z, asked for from 2024 on"
    )
    assert str(PassState(at=None, unmarked=True)) == "0 pages read, the next one is at the start"


def test_what_a_stored_cursor_does_not_say_is_as_it_began() -> None:
    cursor = Cursor.from_json('{"v": 2, "position": {"at": null}}')
    assert cursor.pass_no == 1 and cursor.position is not None
    begun = structs.asdict(cursor.position)
    began = structs.asdict(cursor.evolve(pass_no=0, position=None))
    assert [name for name, value in {**begun, **began}.items() if value] == []
    before = msgspec.json.decode(b"{}", type=Before)
    assert (before.pages, before.received, before.proven, before.counting) == (0, 0, True, False)


@given(states)
def test_the_place_of_a_pass_names_its_window_where_there_is_one(state: PassState) -> None:
    if state.window is None:
        assert state.place == state.at
        assert (state.before.pages, state.pages_here) == (0, state.pages)
    else:
        window = state.window.window
        assert state.place["at"] == state.at
        shown = state.place["window"]
        assert (shown["start"], shown["end"]) == (window.start, window.end)
        assert state.before == state.window.before
        assert state.pages_here == state.pages - state.window.before.pages


def test_a_cursor_may_be_as_large_as_it_says() -> None:
    bare = len(Cursor(position=PassState(at="")).to_json())
    most = Cursor(position=PassState(at="x" * (CURSOR_LIMIT_BYTES - bare)))
    assert len(most.to_json()) == CURSOR_LIMIT_BYTES == 65_536
    most.refuse_oversized("a")
    larger = Cursor(position=PassState(at="x" * (CURSOR_LIMIT_BYTES - bare + 1)))
    with pytest.raises(StateError, match="65537 bytes, at most 65536"):
        larger.to_json()
    with pytest.raises(CursorTooLarge, match="65537 bytes, at most 65536"):
        larger.refuse_oversized("a")


POSITION = {"since": None, "at": {"token": "a"}, "pages": 1, "fresh": True}


def stored(**changes: Any) -> str:
    always = dict.fromkeys(("position", "mark", "snapshot_mark", "total", "validators"))
    return json.dumps({"v": 1, "pass": 1, **always, "received": 0, "complete": False, **changes})


def windowed(**changes: Any) -> dict[str, Any]:
    window = {"start": 0, "end": 1, "until": 1, "ends": [], **changes}
    before = {"pages": 0, "received": 0, "proven": True}
    return {"window": window, "marked": None, "before": before}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"v": 9, "pass": 1, "position": null}', "version 9"),
        ('{"v": 1, "position": null}', "not one that this program writes"),
        ('{"v": 1, "pass": 1, "position": {"since": 1, "surprise": 2}}', "surprise"),
        ('{"v": 1, "pass": 1, "position": null, "surprise": 2}', "surprise"),
        ("{", "truncated"),
        ("", "truncated"),
        ("[]", "object"),
        ("null", "object"),
        (stored(position=[]), "position"),
        (stored(position={}), "since"),
        (stored(position={**POSITION, "pages": "x"}), "pages"),
        (stored(position={**POSITION, "marked": 1}), "marked"),
        (stored(position={**POSITION, **windowed(start=2**62)}), "start"),
        (stored(position={**POSITION, **windowed(end="x")}), "end"),
        (stored(mark=2**70), "mark"),
        (stored(complete=1), "complete"),
        (json.dumps({"v": 1, "pass": 1}), "position"),
    ],
)
def test_a_cursor_that_is_not_ours_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(StateError, match=says):
        Cursor.from_json(text)
