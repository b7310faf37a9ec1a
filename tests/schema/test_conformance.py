"""Every case of conformance/*.json, one test each."""

from __future__ import annotations

import pytest
from schema.conformance import AREAS, DATA, Case, cases, failure


@pytest.mark.parametrize(
    ("area", "case"),
    [
        pytest.param(area, case, id=f"{area}-{number}")
        for area in AREAS
        for number, case in enumerate(cases(area))
    ],
)
def test_case(area: str, case: Case) -> None:
    assert failure(area, case) is None


def test_there_are_enough_cases_and_every_file_is_read() -> None:
    assert {path.stem for path in DATA.glob("*.json")} == set(AREAS)
    assert sum(len(cases(area)) for area in AREAS) >= 400
