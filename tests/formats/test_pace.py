"""Whether one call of the parser may go over a whole page."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from worker.formats import json as json_pages
from worker.formats.json import JsonPages
from worker.formats.pace import Pace
from worker.formats.records import PageSpec
from worker.runtime.slices import at_once
from worker.schema import compile_plan, parse_schema

FLAT = b'{"a": "%b"},' % (b"x" * 300)


def pace(*seconds: float) -> Pace:
    """A pace whose clock shows these moments."""
    moments: Iterator[float] = iter(seconds)
    return Pace(lambda: next(moments))


def test_the_first_page_is_told_by_its_bytes_and_its_objects() -> None:
    assert pace().allows(FLAT * 20_000)  # 6 MB of 20,000 objects
    assert not pace().allows(FLAT * 200_000)
    assert not pace().allows(b"{}," * 2_000_000), "6 MB of objects without anything in them"


def test_pages_that_hold_the_loop_for_longer_than_told_are_cut_in_steps() -> None:
    slow, page = pace(0.0, 1.0), FLAT * 20_000
    slow.timed(len, page)
    assert not slow.allows(page)
    quick, page = pace(*(0.001 * number for number in range(40))), FLAT * 200_000
    for _ in range(20):
        quick.timed(len, page)
    assert quick.allows(page)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_long_page_is_the_same_in_either_way(
    allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_pages.Pace, "allows", lambda self, body: allowed)
    kind = {"type": "record", "name": "R", "fields": [{"name": "id", "type": "long"}]}
    decoder = JsonPages(
        PageSpec("d.i", body_paths=("n",)), compile_plan(parse_schema(json.dumps(kind)))
    )
    rows = [{"id": number if number != 777 else "x", "pad": "y" * 400} for number in range(6_000)]
    rows[4_000]["pad"] = "z" * (1024 * 1024)
    decoded = at_once(decoder.decode(json.dumps({"d": {"i": rows}, "n": 7}).encode()))
    bad = {each.index: each.code for each in decoded.rejects}
    assert bad == {777: "invalid", 4_000: "record_too_large"}
    assert [each.f0 for each in decoded.records] == [
        number for number in range(6_000) if number not in bad
    ]
    assert decoded.facts.body == {"n": 7} and decoded.facts.count == 6_000
    assert json.loads(decoded.raw(5_999)) == rows[-1]
