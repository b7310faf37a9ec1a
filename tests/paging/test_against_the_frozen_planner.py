"""The planner beside the one it replaces: same fetches, same accepted pages, same errors, same
bytes of the cursor.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from paging.frozen.cursor import Cursor as FrozenCursor
from paging.frozen.planner import PartitionPlanner as FrozenPlanner
from paging.frozen.windows import Windows as FrozenWindows
from paging.test_planner import decoded, offset_style, page_style, token_style

from worker.core.errors import WorkerError
from worker.core.model import Claim, Cursor, Decoded, FieldError, Progress, Reject
from worker.paging.marks import MarkFormat
from worker.paging.planner import PartitionPlanner
from worker.paging.spec import Accepted, Done, Fetch, IncrementalSpec, PagingSpec, Reply, StopSpec
from worker.paging.style import Address
from worker.paging.windows import Windows
from worker.sources.pagination import none

STEPS = [0]
BEGIN = 1_704_067_200_000_000
STYLES: dict[str, Callable[[], Any]] = {
    "token": token_style,
    "offset": offset_style,
    "page": page_style,
    "none": lambda: none.build(none.Config(type="none")),
}


@dataclass
class Pair:
    """Both planners from the same claim."""

    spec: PagingSpec
    frozen_spec: PagingSpec
    claim: Claim
    frozen_claim: Claim

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.new, self.old = (
            PartitionPlanner(self.spec, self.claim),
            FrozenPlanner(self.frozen_spec, self.frozen_claim),
        )
        self.taken: list[Accepted] = []
        self.frozen_taken: list[Accepted] = []

    def killed(self) -> None:
        """Both start again from what they had committed."""
        self.claim = after(self.claim, self.taken, Cursor)
        self.frozen_claim = after(self.frozen_claim, self.frozen_taken, FrozenCursor)
        self.start()

    def both(self, call: Callable[[Any], Any]) -> Any:
        """The result of the new planner; the old one gives the same."""
        STEPS[0] += 1
        results = []
        for planner in (self.new, self.old):
            try:
                results.append(call(planner))
            except (WorkerError, AssertionError) as error:
                results.append(error)
        new, old = results
        if isinstance(old, Exception):
            assert type(new) is type(old) and str(new) == str(old), (new, old)
        elif isinstance(old, list):
            assert [flat(each) for each in new] == [flat(each) for each in old]
            self.taken += new
            self.frozen_taken += old
        else:
            assert new == old
        assert self.new.speculating == self.old.speculating
        assert self.new.cursor.to_json() == self.old.cursor.to_json()
        assert Cursor.from_json(self.old.cursor.to_json()).to_json() == self.old.cursor.to_json()
        assert self.new._boundary == self.old._boundary and self.new._tokens == self.old._tokens
        return new


def flat(accepted: Accepted) -> Any:
    """An accepted page, comparable; the cursor as its bytes."""
    step, page = accepted.progress, accepted.decoded
    return (
        step.cursor.to_json(),
        {each.name: getattr(step, each.name) for each in fields(step) if each.name != "cursor"},
        {each.name: getattr(page, each.name) for each in fields(page) if each.name != "raw"},
        replace(accepted, progress=None, decoded=None),  # type: ignore[arg-type]
    )


def after(claim: Claim, taken: list[Accepted], cursor: Any) -> Claim:
    if not taken:
        return claim
    whole: Progress = taken[0].progress
    for each in taken[1:]:
        whole = whole.then(each.progress)
    boundary = set(claim.boundary)
    if whole.boundary_floor is not None:
        boundary = {key for key in boundary if key[0] >= whole.boundary_floor}  # type: ignore[operator]
    tokens = (set() if whole.tokens_cleared else set(claim.tokens)) | set(whole.tokens_added)
    return Claim(
        "p",
        claim.epoch + 1,
        claim.seq + 1,
        cursor.from_json(whole.cursor.to_json()),
        frozenset(boundary | set(whole.boundary_added)),
        frozenset(tokens),
    )


values = st.one_of(st.integers(0, 40), st.sampled_from([None, "x", 10**30, True]))
record = st.tuples(st.integers(0, 12), values)
pages = st.tuples(
    st.lists(record, max_size=5),
    st.sampled_from([None, 1, 2, 3, "A", "B", "", False, "https://h/x?k=1"]),  # the next token
    st.sampled_from([None, None, None, 0, 3, 6, 10]),  # the total
    st.sampled_from(
        ["page", "page", "page", "page", "page", "stop", "empty", "unchanged", "split"]
    ),
    st.sampled_from([None, {"etag": "1"}]),
    st.sets(st.integers(0, 4), max_size=2),  # rejected already
    st.booleans(),  # in order
    st.integers(0, 2),  # body
)


@st.composite
def specs(draw: Any) -> tuple[PagingSpec, PagingSpec]:
    kind = draw(st.sampled_from(["none", "ascending", "descending", "any", "token", "window"]))
    style = STYLES[draw(st.sampled_from(list(STYLES)))]()
    wall = draw(st.integers(0, 60))
    incremental, windows, frozen_windows = None, None, None
    form = MarkFormat("int", draw(st.sampled_from(["", "int"])))
    if kind == "window":
        form = MarkFormat("epoch_us")
        shape = {
            "size": draw(st.integers(1, 25)),
            "lag": draw(st.integers(0, 9)),
            "smallest": draw(st.sampled_from([1, 3])),
            "inclusive": draw(st.booleans()),
            "step": draw(st.sampled_from([0, 1])),
        }

        def address(start: str, end: str) -> Address:
            return Address(params={"from": start, "to": end})

        windows = Windows(**shape, form=form, address=address)
        frozen_windows = FrozenWindows(**shape, form=form, address=address)
    if kind != "none":
        incremental = IncrementalSpec(
            "u",
            form,
            initial=draw(st.sampled_from([None, "3"])) if kind != "window" else "0",
            order=kind
            if kind in ("ascending", "descending", "any")
            else draw(st.sampled_from(["ascending", "any"])),
            overlap_s=draw(st.sampled_from([0.0, 5e-6])),
            token=(lambda facts, headers: facts.body.get("next")) if kind == "token" else None,
            newest_bound_s=draw(st.sampled_from([None, 1e-5])),
            until=draw(st.sampled_from([None, None, 25])) if kind != "token" else None,
        )
    made = PagingSpec(
        style=style,
        stop=StopSpec(
            empty_page=draw(st.booleans()),
            short_page=draw(st.sampled_from([None, None, 2])),
            max_pages=draw(st.sampled_from([100_000, 4, 2, 1])),
            when=draw(
                st.sampled_from(
                    [
                        lambda facts: False,
                        lambda facts: False,
                        lambda facts: facts.size_bytes == 300,
                    ]
                )
            ),
        ),
        incremental=incremental,
        windows=windows,
        total=lambda facts, headers: facts.body.get("total"),
        counts_distinct=draw(st.booleans()),
        completeness=draw(st.sampled_from(["unknown", "assumed"])),
        every_s=draw(st.sampled_from([None, 10.0])),
        once=draw(st.booleans()),
        depth=draw(st.integers(1, 4)),
        boundary_cap=draw(st.sampled_from([1_000_000, 8])),
        wall=lambda: wall / 1e6,
        strip=lambda url: url.partition("?")[0],
    )
    return made, replace(made, windows=frozen_windows)  # type: ignore[arg-type]


def reply_of(page: Any, windowed: bool, fetch: Fetch, highest: Any) -> tuple[Reply, Reply]:
    """Two equal replies: the frozen planner changes the page it is given."""
    found, token, total, what, validators, rejected, ordered, body = page
    if ordered:
        found = honest(found, fetch, highest)
    if what == "unchanged" and fetch.first and not windowed:
        return Reply(None, unchanged=True), Reply(None, unchanged=True)
    if what == "split" and windowed:
        return Reply(None, split="status 400"), Reply(None, split="status 400")
    if what == "stop" and not fetch.first:
        return Reply(None, stop="status 404"), Reply(None, stop="status 404")
    if what == "empty":
        return Reply(None, validators=validators), Reply(None, validators=validators)
    return tuple(  # type: ignore[return-value]
        Reply(page_of(found, token, total, rejected, body), validators=validators) for _ in range(2)
    )


def honest(found: Any, fetch: Fetch, highest: Any) -> Any:
    """The records as an honest source would send them: within the window, in order."""
    params = fetch.address.params or {}
    if "from" in params:
        start, end = int(params["from"]), int(params["to"])
        return [
            (number, start + value % max(end - start, 1))
            for number, value in found
            if type(value) is int
        ]
    low = highest if isinstance(highest, int) else 0
    return sorted(
        ((number, low + value % 4) for number, value in found if type(value) is int),
        key=lambda each: each[1],
    )


def page_of(found: Any, token: Any, total: Any, rejected: set[int], body: int) -> Decoded:
    page = decoded(
        [{"id": number, "u": value} for number, value in found],
        {"next": token, "total": total, "of": body},
    )
    bad = sorted(index for index in rejected if index < len(found))
    if bad:
        page.rejects = [
            Reject(index, "validate", "invalid", (FieldError("$", "x", "y"),), b"{}")
            for index in bad
        ]
        page.indices = [index for index in range(len(found)) if index not in bad]
        page.records = [page.records[index] for index in page.indices]
    page.raw = lambda index: b"raw %d" % index
    return page


answers = st.tuples(st.just("answer"), st.integers(0, 3), pages)
actions = st.one_of(
    answers,
    answers,
    answers,
    answers,
    st.tuples(
        st.sampled_from(["drop", "kill", "fall_back", "later"]), st.integers(0, 5), st.none()
    ),
)


@settings(
    max_examples=int(os.environ.get("ORACLE_EXAMPLES", "300")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(specs=specs(), todo=st.lists(actions, min_size=3, max_size=60))
def test_it_does_what_the_frozen_planner_does(
    specs: tuple[PagingSpec, PagingSpec], todo: list[Any]
) -> None:
    new, old = specs
    pair = Pair(new, old, Claim("p", 1, 0, Cursor()), Claim("p", 1, 0, FrozenCursor()))  # type: ignore[arg-type]
    flying: list[Fetch] = []
    now = 0.0
    for what, number, page in todo:
        if what == "later":
            now += 7.0
        elif what == "kill":
            pair.killed()
            flying = []
        elif what == "fall_back":
            pair.both(lambda planner: planner.fall_back())
        else:
            for _ in range(1 + number % 3):
                fetch = pair.both(lambda planner, at=now: planner.next(at))
                if isinstance(fetch, Fetch):
                    flying.append(fetch)
                elif isinstance(fetch, Done):
                    event("done")
            if flying:
                fetch = flying.pop(number % len(flying))
                pair_drop_or_answer(pair, fetch, what, page, now)
    event("accepted" if pair.taken else "nothing accepted")


def pair_drop_or_answer(pair: Pair, fetch: Fetch, what: str, page: Any, now: float) -> None:
    theirs = {
        id(pair.new): fetch,
        id(pair.old): next((each for each in pair.old._flying.values() if each == fetch), fetch),
    }
    if what == "drop" or page is None:
        pair.both(lambda planner: planner.drop(theirs[id(planner)]))
        return
    new, old = reply_of(
        page,
        pair.spec.windows is not None,
        fetch,
        pair.new.cursor.snapshot_mark or pair.new.cursor.mark,
    )
    replies = {id(pair.new): new, id(pair.old): old}
    result = pair.both(
        lambda planner: planner.accept(theirs[id(planner)], replies[id(planner)], now)
    )
    if isinstance(result, Exception):
        event(type(result).__name__)


@pytest.fixture(autouse=True, scope="module")
def _count() -> Any:
    yield
    print(f"\n{STEPS[0]} steps")
