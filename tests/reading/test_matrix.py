"""Every way to page x what goes wrong x total x key x order: what is read is what the server has, or
a named error, or a loss that the pass admits.
"""

from __future__ import annotations

import pytest
from reading import page
from reading.cells import FAULTS, SHIFTS, STYLES, Cell, cells, impossible, outcome
from reading.listing import Style
from reading.oracle import expected

BY_NAME = {style.name: style for style in STYLES}
SHOWN = 12


SAMPLE = 7
"""Of so many cells, which go round in all columns, `make test` runs one."""


@pytest.mark.parametrize("name", BY_NAME)
def test_what_is_read_in_a_sample_is_right_or_refused_or_admitted(name: str) -> None:
    are_right(there(BY_NAME[name])[::SAMPLE])


@pytest.mark.thorough
@pytest.mark.parametrize("name", BY_NAME)
def test_what_is_read_is_right_or_refused_or_admitted(name: str) -> None:
    """And the page says so; one test, since each outcome is computed once in a process."""
    style = BY_NAME[name]
    are_right(there(style))
    assert losing(style) == ({"delete", "delete and insert"} if shifts_unseen(style) else set())
    assert page.section(style) in page.PATH.read_text(), "run: make docs"


def are_right(some: list[Cell]) -> None:
    wrong = []
    for cell in some:
        found = outcome(cell)
        if why := expected(cell).refuses(found):
            wrong.append(f"{cell}: {found} ({why}) {found.said}")
    assert not wrong, f"{len(wrong)} cells:\n" + "\n".join(wrong[:SHOWN])


def losing(style: Style) -> set[str]:
    """What goes wrong where rows with keys of their own, or with none, are lost."""
    return {cell.fault for cell in there(style) if cell.key != "shared" and outcome(cell).lost}


def shifts_unseen(style: Style) -> bool:
    """Whether rows that come in or go move others to pages that were read, and nobody can tell."""
    return style.shifts and not style.seam and not style.stable


def test_the_page_is_complete_and_in_order() -> None:
    text = page.PATH.read_text()
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert headings[-len(STYLES) :] == [style.name for style in STYLES]
    assert text.startswith(page.head()), "run: make docs"


def test_a_cell_runs_or_has_a_reason_why_there_is_none() -> None:
    reasons = [impossible(cell) for style in STYLES for cell in cells(style)]
    assert sum(not reason for reason in reasons) > 40_000
    assert all(reason.endswith(".") for reason in reasons if reason)


def test_every_style_that_shifts_meets_every_shift() -> None:
    for style in STYLES:
        if style.shifts and not style.stable:
            assert {cell.fault for cell in there(style)} >= set(SHIFTS)
        assert {cell.fault for cell in cells(style)} == set(FAULTS)


def there(style: Style) -> list[Cell]:
    """The cells of a style that can exist."""
    return [cell for cell in cells(style) if not impossible(cell)]
