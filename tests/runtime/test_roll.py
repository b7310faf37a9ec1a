"""When a pipeline commits."""

from __future__ import annotations

from worker.runtime.roll import MOVED_S, RollSpec, RollState


def test_moves_of_cursors_alone_wait_for_an_hour_or_for_a_longer_age() -> None:
    roll = RollState(RollSpec(age_s=300.0))
    roll.move(10.0)
    roll.move(2_000.0)
    assert (roll.deadline, roll.due(10.0 + MOVED_S - 1)) == (10.0 + MOVED_S, "")
    assert roll.due(10.0 + MOVED_S) == "age"
    daily = RollState(RollSpec(age_s=86_400.0))
    daily.move(10.0)
    assert daily.deadline == 86_410.0


def test_records_are_due_by_age_whatever_moved_before_them() -> None:
    roll = RollState(RollSpec(age_s=300.0))
    assert roll.deadline is None
    roll.move(0.0)
    roll.add(3, 50.0)
    assert roll.deadline == 350.0
    late = RollState(RollSpec(age_s=300.0))
    late.move(0.0)
    late.add(3, MOVED_S - 1)
    assert late.deadline == MOVED_S
    late.reset()
    assert (late.deadline, late.due(1e9)) == (None, "")
