"""The bound of a pass: never above the mark, and never more than the source is told."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.core.instants import EPOCH, LEAST, MICROS, MICROSECOND, whole_steps
from worker.paging.bound import bound_text, least, reach
from worker.paging.marks import MarkFormat
from worker.paging.spec import IncrementalSpec

DAY = 86_400 * MICROS
RECORDS = ["rfc3339", "epoch_s", "epoch_ms", "epoch_us", "%Y-%m-%d %H:%M:%S"]
PARAMS = ["", "rfc3339", "epoch_s", "epoch_ms", "%Y-%m-%d", "%Y-%m-%d %H:%M"]


def at(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // MICROSECOND


SPECS = st.builds(
    IncrementalSpec,
    field=st.just("u"),
    format=st.builds(
        MarkFormat,
        st.sampled_from(RECORDS),
        st.sampled_from(PARAMS),
        st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"]),
    ),
    overlap_s=st.sampled_from([0.0, 0.5, 60.0, 5 * 3600.0]),
    newest_bound_s=st.sampled_from([None, 0.0, 60.25]),
    step_us=st.sampled_from([0, 0, 60 * MICROS, DAY]),
)
INSTANTS = st.integers(at("2001-01-01T00:00:00Z"), at("2030-01-01T00:00:00Z"))
NOW = st.floats(1e9, 2e9)


@given(SPECS, INSTANTS, NOW)
def test_a_bound_is_never_above_what_it_is_to_bring(
    spec: IncrementalSpec, mark: int, now_s: float
) -> None:
    said = spec.format.bound(bound_text(spec, mark, now_s))
    wanted = mark - round(spec.overlap_s * MICROS)
    if spec.newest_bound_s is not None:
        wanted = min(wanted, round((now_s - spec.newest_bound_s) * MICROS))
    assert isinstance(said, int)
    # a day of a zone, and its change of time
    assert wanted - spec.step_us - DAY - 7_200 * MICROS <= said <= wanted


@given(SPECS, INSTANTS, NOW)
def test_no_record_that_was_asked_for_is_below_the_least_one(
    spec: IncrementalSpec, mark: int, now_s: float
) -> None:
    """Records cannot say more digits than their format has."""
    since = bound_text(spec, mark, now_s)
    said, found = spec.format.bound(since), least(spec, since)
    assert isinstance(said, int) and isinstance(found, int)
    of_records = MarkFormat(spec.format.record, zone=spec.format.zone)
    written = of_records.parser()(of_records.text(said))[0]
    assert found == min(said, written)  # type: ignore[type-var]


@given(SPECS, INSTANTS, NOW)
@example(
    IncrementalSpec("u", MarkFormat("epoch_s", "rfc3339"), overlap_s=0.5),
    at("2024-05-06T07:08:09Z"),
    1e9,
)
def test_what_a_mark_reaches_is_the_least_that_its_pass_asks_for(
    spec: IncrementalSpec, mark: int, now_s: float
) -> None:
    """Keys above it must not be forgotten."""
    assert reach(spec, mark, now_s) == least(spec, bound_text(spec, mark, now_s))


@given(SPECS, INSTANTS, INSTANTS, NOW, NOW)
def test_a_later_bound_is_never_below_the_floor_of_an_earlier_one(
    spec: IncrementalSpec, one: int, other: int, now_s: float, later_s: float
) -> None:
    """Whatever the clock does meanwhile."""
    first, second = sorted((one, other))
    floor = least(spec, bound_text(spec, first, now_s))
    again = least(spec, bound_text(spec, second, later_s, floor))
    assert isinstance(floor, int) and isinstance(again, int) and again >= floor


def test_a_floor_above_the_bound_is_asked_for_instead() -> None:
    spec = IncrementalSpec("u", MarkFormat("int"))
    assert bound_text(spec, 5, 0.0) == bound_text(spec, 5, 0.0, 3) == "5"
    assert bound_text(spec, 5, 0.0, 5) == "5"
    assert bound_text(spec, 5, 0.0, 7) == "7"


def test_a_step_is_counted_in_the_zone() -> None:
    mark = at("2024-05-06T21:30:00Z")
    for zone, said in (("UTC", "2024-05-06T00:00:00Z"), ("Europe/Berlin", "2024-05-05T22:00:00Z")):
        spec = IncrementalSpec("u", MarkFormat(zone=zone), step_us=DAY)
        assert bound_text(spec, mark, 0.0) == said
        assert at(said) == whole_steps(mark, DAY, ZoneInfo(zone))


def test_the_newest_bound_holds_back_only_what_is_newer() -> None:
    spec = IncrementalSpec("u", MarkFormat("epoch_s"), newest_bound_s=60.0)
    assert bound_text(spec, 1_000 * MICROS, 1_050.0) == "990"
    assert bound_text(spec, 1_000 * MICROS, 1_060.0) == "1000"
    assert bound_text(spec, 1_000 * MICROS, 9_000.0) == "1000"


def test_an_overlap_belongs_to_instants_only() -> None:
    assert bound_text(IncrementalSpec("u", MarkFormat("int"), overlap_s=5.0), 100, 0.0) == "100"
    assert bound_text(IncrementalSpec("u", MarkFormat("string"), overlap_s=5.0), "b", 0.0) == "b"
    assert bound_text(
        IncrementalSpec("u", MarkFormat("epoch_s"), overlap_s=5.0), 9_000_000, 0.0
    ) == ("4")


@pytest.mark.parametrize("step_us", [0, DAY, 7 * DAY])
@pytest.mark.parametrize("overlap_s", [0.0, 3_600.0])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_the_beginning_of_the_calendar_is_a_mark(step_us: int, overlap_s: float, zone: str) -> None:
    """`0001-01-01T00:00:00Z` is how .NET says never."""
    spec = IncrementalSpec("u", MarkFormat(zone=zone), overlap_s=overlap_s, step_us=step_us)
    assert bound_text(spec, LEAST, 1e9) == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("form", "since", "said"),
    [
        (MarkFormat("string"), "b", None),  # texts have no order that is known
        (MarkFormat("int"), None, None),
        (MarkFormat("int"), "7", 7),
        (MarkFormat("int"), 7, 7),
        (MarkFormat("int"), "x", None),
        (MarkFormat("epoch_s", "rfc3339"), "1970-01-01T00:00:07.9Z", 7_000_000),
        (MarkFormat("rfc3339", "epoch_s"), "7", 7_000_000),
        # the first bound may be written as records are
        (MarkFormat("rfc3339", "epoch_s"), "1970-01-01T00:00:07.9Z", 7_900_000),
        (MarkFormat("rfc3339", "%Y-%m-%d"), "1970-01-02", DAY),
        (MarkFormat("rfc3339"), "yesterday", None),
    ],
)
def test_the_least_value_is_what_the_text_says(
    form: MarkFormat, since: object, said: int | None
) -> None:
    assert least(IncrementalSpec("u", form), since) == said


def test_texts_reach_as_far_as_their_mark() -> None:
    assert reach(IncrementalSpec("u", MarkFormat("string")), "b", 0.0) == "b"
