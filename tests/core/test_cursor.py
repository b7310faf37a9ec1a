"""Cursors: what is written is read back, and what any version has stored is written back with the
same bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.cursor import Before, Cursor, PassState, Window, WindowState
from worker.core.errors import StateError

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
begun = st.builds(
    PassState.begun,
    at=json_values,
    since=json_values,
    unmarked=st.booleans(),
    window=st.none() | windows,
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "at": json_values,
        "pages": whole,
        "fresh": st.booleans(),
        "drifted": st.booleans(),
        "passed": st.booleans(),
        "validators": json_values,
    },
)


@given(
    state=begun,
    steps=st.lists(changes, max_size=4),
    mark=marks,
    total=st.none() | whole,
    complete=st.booleans(),
)
def test_a_cursor_is_read_back_as_it_was_written(
    state: PassState, steps: list[dict[str, Any]], mark: Any, total: int | None, complete: bool
) -> None:
    for step in steps:
        state = state.evolve(**step)
    for position in (state, None):
        cursor = Cursor(3, position, mark, mark, 7, total, None, complete)
        text = cursor.to_json()
        assert Cursor.from_json(text) == cursor
        assert Cursor.from_json(text).to_json() == text


@pytest.mark.parametrize("version", sorted({each["version"] for each in CORPUS["cursors"]}))
def test_cursors_of_real_runs_of_every_version_keep_their_bytes(version: str) -> None:
    stored = [each["cursor"] for each in CORPUS["cursors"] if each["version"] == version]
    assert stored
    for text in stored:
        assert Cursor.from_json(text).to_json() == text


def test_a_state_is_printed_in_words() -> None:
    window = WindowState(
        Window(1_714_979_289_000_000, 1_714_979_290_500_000, 1_714_979_390_000_000), None
    )
    state = PassState.begun(at={"offset": 200}, since="2024", unmarked=False, window=window)
    assert str(state.evolve(pages=2)) == (
        "2 pages read, the next one is at offset 200, in the window from "
        "2024-05-06T07:08:09Z to 2024-05-06T07:08:10.500000Z, asked for from 2024 on"
    )
    assert (
        str(PassState.begun(at=None, unmarked=True)) == "0 pages read, the next one is at the start"
    )


POSITION = {"since": None, "at": {"token": "a"}, "pages": 1, "fresh": True}


def stored(**changes: Any) -> str:
    return json.dumps({"v": 1, "pass": 1, **json.loads(Cursor().to_json()), **changes})


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
        (stored(position={**POSITION, "marked": 1}), "stand together"),
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
