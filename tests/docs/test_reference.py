"""The generated pages are those of the code."""

from __future__ import annotations

import pytest

from docs import reference


@pytest.mark.parametrize("file", reference.PAGES)
def test_a_page_is_that_of_the_code(file: str) -> None:
    assert (reference.DOCS / file).read_text() == reference.PAGES[file](), "run: make docs"


def test_every_key_has_a_meaning() -> None:
    rows = [line for line in reference.config_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 150
    assert [row for row in rows if row.endswith("|  |")] == []
