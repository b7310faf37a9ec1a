"""How a partition goes on after a start."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.cursor import CURSOR_LIMIT_BYTES, Cursor, PassState
from worker.core.errors import CursorTooLarge, StateError
from worker.core.model import Claim, Decoded, Facts
from worker.paging.marks import MarkFormat
from worker.paging.planner import PartitionPlanner
from worker.paging.resume import refuse_unfit
from worker.paging.spec import Fetch, IncrementalSpec, PagingSpec, Reply
from worker.sources.pagination import cursor, link_header, next_url, none, offset, page

STYLES: dict[str, Any] = {
    "page": page.build(page.Config(type="page", param="p")),
    "offset": offset.build(offset.Config(type="offset", param="o")),
    "cursor": cursor.build(
        cursor.Config.model_validate(
            {"type": "cursor", "from": {"body": "next"}, "to": {"param": "c"}}
        )
    ),
    "next_url": next_url.build(next_url.Config(type="next_url", path="next")),
    "link_header": link_header.build(link_header.Config(type="link_header")),
    "none": none.build(none.Config(type="none")),
}
FIT: dict[str, list[Any]] = {
    "page": [{"page": 0}, {"page": 7}],
    "offset": [{"offset": 0}, {"offset": 7}],
    "cursor": [None, {"token": "t"}, {"token": 0}, {"token": {"a": [1]}}],
    "next_url": [None, {"url": "https://a/b"}],
    "link_header": [None, {"url": "https://a/b"}],
    "none": [None],
}
UNFIT: list[Any] = [
    *({"page": "7"}, {"page": 1.5}, {"page": -1}, {"page": True}, {"page": 7, "more": 1}),
    *({"offset": None}, {"offset": -7}, {"token": "t", "more": 1}, {"url": 5}),
    *({}, [], "7", 7, False, [{"page": 7}]),
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["page", "offset", "token", "url", "x"]), inner)
    ),
    max_leaves=4,
)


def at(position: Any) -> Cursor:
    return Cursor(position=PassState(at=position, pages=1))


@pytest.mark.parametrize("style", STYLES)
def test_positions_of_the_style_fit_and_those_of_others_are_refused_by_name(style: str) -> None:
    spec = PagingSpec(style=STYLES[style])
    for position in FIT[style]:
        refuse_unfit(spec, at(position), "default")
    others = [each for name in FIT for each in FIT[name] if each not in FIT[style]]
    related = {"next_url", "link_header"}
    for position in (*UNFIT, *others):
        if style in related and position in FIT["next_url"]:
            continue
        with pytest.raises(StateError, match=r"has position\.at") as caught:
            refuse_unfit(spec, at(position), "default")
        assert caught.value.where == "default"
        assert "worker state reset" in caught.value.remedy


@pytest.mark.parametrize("style", STYLES)
@given(position=json_values)
def test_a_position_that_is_not_refused_can_be_asked_for(style: str, position: Any) -> None:
    spec = PagingSpec(style=STYLES[style])
    try:
        planner = PartitionPlanner(spec, Claim("p", 1, 1, at(position)))
    except StateError:
        return
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch)
    facts = Facts(1, body={"next": None}, keys=[b"k" * 16], digest=b"1" * 16)
    assert planner.accept(todo, Reply(Decoded([1], None, [], facts)), 0.0)


@pytest.mark.parametrize(
    ("record", "fits", "unfit"),
    [("rfc3339", 7, "2024-01-01T00:00:00Z"), ("int", 7, "7"), ("string", "7", 7)],
)
def test_a_mark_is_what_the_format_says(record: str, fits: Any, unfit: Any) -> None:
    spec = PagingSpec(style=STYLES["none"], incremental=IncrementalSpec("at", MarkFormat(record)))
    for name in ("mark", "snapshot_mark"):
        refuse_unfit(spec, Cursor(**{name: fits}), "default")
        with pytest.raises(StateError, match=f"has {name} "):
            refuse_unfit(spec, Cursor(**{name: unfit}), "default")


def test_a_page_whose_token_is_too_large_to_keep_changes_nothing() -> None:
    spec = PagingSpec(style=STYLES["cursor"])
    planner = PartitionPlanner(spec, Claim("p", 1, 1, Cursor()))

    def answer(token: str) -> Reply:
        facts = Facts(1, body={"next": token}, digest=token[-16:].encode())
        return Reply(Decoded([1], None, [], facts))

    for token, refused in (
        ("t" * 60_000, False),
        ("u" * CURSOR_LIMIT_BYTES, True),
        ("v" * CURSOR_LIMIT_BYTES, True),
        ("w" * 60_000, False),
    ):
        todo = planner.next(0.0)
        assert isinstance(todo, Fetch)
        before = planner.cursor
        if refused:
            with pytest.raises(CursorTooLarge, match="at most 65536 are kept"):
                planner.accept(todo, answer(token), 0.0)
            planner.drop(todo)
            assert planner.cursor == before
        else:
            [accepted] = planner.accept(todo, answer(token), 0.0)
            assert accepted.progress.cursor.to_json()
