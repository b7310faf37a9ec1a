"""How a partition goes on after a start."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.adoption import Adopted, adoption
from worker.core.cursor import CURSOR_LIMIT_BYTES, Cursor, PassState
from worker.core.errors import CursorTooLarge, OrderViolation, StateError
from worker.core.model import Claim, Decoded, Facts, PartitionRow
from worker.paging.marks import MarkFormat
from worker.paging.planner import PartitionPlanner
from worker.paging.resume import refuse_unfit
from worker.paging.schedule import Schedule
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
        planner = PartitionPlanner(spec, Claim("p", 1, at(position)))
    except StateError:
        return
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch)
    facts = Facts(1, body={"next": None}, keys=[b"k" * 16])
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
    planner = PartitionPlanner(spec, Claim("p", 1, Cursor()))

    def answer(token: str) -> Reply:
        facts = Facts(1, body={"next": token})
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


# -- what a pass was begun with --------------------------------------------------------------------


class Server:
    """Records by page or offset, `size` of them a page as it is asked for."""

    def __init__(self, records: list[tuple[int, int]]) -> None:
        self.records, self.asked = records, list[Any]()

    def answer(self, fetch: Fetch) -> Reply:
        params = dict(fetch.address.params or {})
        self.asked.append(fetch.position)
        size = int(params.get("size", 2))
        start = int(params["o"]) if "o" in params else (int(params.get("p", 1)) - 1) * size
        rows = [each for each in self.records if fetch.since is None or each[1] >= int(fetch.since)]
        part = rows[start : start + size]
        keys = [blake2b(b"%d" % name, digest_size=16).digest() for name, _ in part]
        facts = Facts(len(part), values=[at for _, at in part], keys=keys)
        return Reply(Decoded([name for name, _ in part], None, [], facts))


class Partition:
    """A partition that is killed at will: what it takes is committed."""

    def __init__(self, server: Server) -> None:
        self.server, self.taken = server, list[int]()
        self.claim = Claim("p", 1, Cursor())

    def walk(self, spec: PagingSpec, pages: int = 99) -> Cursor:
        """A process that takes so many pages at most, or a whole pass."""
        planner = PartitionPlanner(spec, self.claim)
        for _ in range(pages):
            todo = planner.next(0.0)
            if not isinstance(todo, Fetch):
                break
            for accepted in planner.accept(todo, self.server.answer(todo), 0.0):
                self._commit(accepted)
        return self.claim.cursor

    def _commit(self, accepted: Any) -> None:
        progress = accepted.progress
        self.taken += accepted.decoded.records
        boundary = {
            key
            for key in self.claim.boundary
            if progress.boundary_floor is None or key[0] >= progress.boundary_floor
        }
        tokens = set() if progress.tokens_cleared else set(self.claim.tokens)
        self.claim = replace(
            self.claim,
            cursor=Cursor.from_json(progress.cursor.to_json()),
            boundary=frozenset(boundary | set(progress.boundary_added)),
            tokens=frozenset(tokens | set(progress.tokens_added)),
        )


def marked(order: str, style: Any) -> PagingSpec:
    incremental = IncrementalSpec("at", MarkFormat("int"), order=order)
    return PagingSpec(style=style, once=True, incremental=incremental, key=("id",))


def paged(size: int, *, kind: str = "page") -> Any:
    if kind == "offset":
        config = {"type": "offset", "param": "o", "limit_param": "size", "limit": size}
        return offset.build(offset.Config.model_validate(config))
    config = {"type": "page", "param": "p", "size_param": "size", "size": size}
    return page.build(page.Config.model_validate(config))


SHUFFLED = [(1, 10), (2, 40), (3, 30), (4, 20), (5, 50), (6, 5)]
SORTED = sorted(SHUFFLED, key=lambda each: each[1])


def test_a_pass_in_progress_keeps_the_order_that_it_was_begun_with() -> None:
    partition = Partition(Server(SHUFFLED))
    style = paged(2, kind="offset")
    partition.walk(marked("any", style), pages=1)
    assert partition.claim.cursor.mark is None
    cursor = partition.walk(marked("ascending", style), pages=1)
    assert cursor.mark is None, "the pass is in any order: its mark is true at its end only"
    cursor = partition.walk(marked("ascending", style))
    assert (partition.taken, cursor.mark, cursor.pass_no) == ([1, 2, 3, 4, 5, 6], 50, 2)
    partition.server.records = [(7, 60), (8, 55)]
    with pytest.raises(OrderViolation):
        partition.walk(marked("ascending", style))


def test_a_pass_that_began_ascending_stays_checked_to_its_end() -> None:
    partition = Partition(Server(SORTED))
    style = paged(2, kind="offset")
    cursor = partition.walk(marked("ascending", style), pages=1)
    assert cursor.mark == 10
    partition.server.records = [*SORTED[:2], (9, 45), (10, 44)]
    with pytest.raises(OrderViolation):
        partition.walk(marked("any", style))
    partition.server.records = SORTED
    assert partition.walk(marked("any", style)).mark == 50
    partition.server.records = [(7, 60), (8, 55)]
    partition.walk(marked("any", style))
    assert partition.taken == [name for name, _ in SORTED] + [7, 8]


@pytest.mark.parametrize("order", ["ascending", "any", "descending"])
@given(
    pages=st.integers(1, 9),
    before=st.integers(1, 4),
    after=st.integers(1, 12),
    count=st.integers(1, 12),
)
def test_another_size_of_pages_loses_and_doubles_nothing(
    order: str, pages: int, before: int, after: int, count: int
) -> None:
    rows = [(name, 10 * name) for name in range(1, count + 1)]
    rows = rows[::-1] if order == "descending" else rows
    for kind in ("page", "offset"):
        partition = Partition(Server(rows))
        for size, most in ((before, pages), (after, 99)):
            partition.walk(replace(marked(order, paged(size, kind=kind)), size=size), most)
        assert sorted(partition.taken) == sorted(name for name, _ in rows), kind


@given(
    pages=st.integers(1, 9),
    before=st.integers(1, 4),
    after=st.integers(1, 12),
    count=st.integers(1, 12),
)
def test_a_snapshot_with_another_size_of_pages_is_one_snapshot(
    pages: int, before: int, after: int, count: int
) -> None:
    rows = [(name, 0) for name in range(1, count + 1)]

    def spec(size: int) -> PagingSpec:
        return PagingSpec(style=paged(size), once=True, key=("id",), size=size)

    partition = Partition(Server(rows))
    partition.walk(spec(before), pages=pages)
    partition.walk(spec(after))
    assert partition.taken == [name for name, _ in rows]


def test_a_page_pass_whose_size_changed_begins_again_and_an_offset_pass_goes_on() -> None:
    rows = [(name, 10 * name) for name in range(1, 9)]
    for kind, first in (("page", {"page": 1}), ("offset", {"offset": 4})):
        partition = Partition(Server(rows))
        spec = replace(marked("any", paged(2, kind=kind)), size=2)
        partition.walk(spec, pages=2)
        partition.server.asked.clear()
        partition.walk(replace(marked("any", paged(3, kind=kind)), size=3), pages=1)
        assert partition.server.asked == [first]


def test_a_pass_of_version_1_counts_as_begun_with_what_the_config_says() -> None:
    style = paged(2)
    spec = replace(marked("any", style), size=2)
    partition = Partition(Server(SHUFFLED))
    partition.walk(spec, pages=1)
    cursor = partition.claim.cursor
    assert cursor.position is not None
    old = cursor.evolve(position=cursor.position.evolve(order="", size=0))
    partition.claim = replace(partition.claim, cursor=old)
    partition.walk(spec, pages=1)
    position = partition.claim.cursor.position
    assert position is not None and (position.order, position.size) == ("any", 2)


# -- adoption --------------------------------------------------------------------------------------


def adopted(partition: Partition, kind: str, changed: str) -> Adopted:
    """Adopts a changed key as `state adopt` does, and says what that does to the partition."""
    cursor = partition.claim.cursor
    known = {"mark": kind, "key": "1", "params.a": "1", "incremental.format.record": "1"}
    keys = len(partition.claim.boundary)
    found = adoption(
        "items",
        [PartitionRow("p", 1, 1, cursor.to_json())],
        known=known,
        now={**known, changed: "2"},
        remembered={"p": keys} if keys else {},
    )
    for part in found.partitions:
        partition.claim = replace(
            partition.claim,
            cursor=part.after,
            tokens=frozenset(),
            boundary=frozenset() if found.forgets_keys else partition.claim.boundary,
        )
        return part
    return Adopted("p", cursor, cursor, 0, 0)


@pytest.mark.parametrize("changed", ["params.a", "key", "incremental.format.record"])
@pytest.mark.parametrize("order", ["ascending", "any", "descending", ""])
@given(pages=st.integers(0, 7), size=st.integers(1, 4), count=st.integers(1, 10))
def test_after_an_adoption_nothing_is_lost_and_no_more_comes_twice_than_was_said(
    changed: str, order: str, pages: int, size: int, count: int
) -> None:
    rows = [(name, 10 * (name // 2)) for name in range(1, count + 1)]
    rows = rows[::-1] if order == "descending" else rows
    style = paged(size)
    spec = marked(order, style) if order else PagingSpec(style=style, once=True, key=("id",))
    spec = replace(spec, size=size, schedule=Schedule(3600.0))
    partition = Partition(Server(rows))
    partition.walk(spec, pages=pages)
    part = adopted(partition, "int" if order else "none", changed)
    in_progress = part.before.position is not None
    partition.walk(spec)
    twice = len(partition.taken) - len(set(partition.taken))
    assert set(partition.taken) == {name for name, _ in rows}
    if order:
        assert twice <= part.records_again
    elif in_progress:
        assert twice == part.records_again
        assert partition.claim.cursor.pass_no == part.before.pass_no + 2
