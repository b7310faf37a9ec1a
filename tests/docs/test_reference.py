"""The generated pages are those of the code, and what operators read there are sentences."""

from __future__ import annotations

import pytest

from docs import reference
from worker.core.errors import WorkerError


@pytest.mark.parametrize("file", reference.PAGES)
def test_a_page_is_that_of_the_code(file: str) -> None:
    assert (reference.DOCS / file).read_text() == reference.PAGES[file](), "run: make docs"


def test_every_key_has_a_meaning() -> None:
    rows = [line for line in reference.config_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 150
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_code_of_an_error_has_one_row() -> None:
    codes = {error.code for error in reference.error_classes()} - set(reference.UNSEEN)
    rows = reference.errors_page().partition("## Codes of rejects")[0].splitlines()
    assert sorted(row.split("`")[1] for row in rows if row.startswith("| `")) == sorted(codes)


@pytest.mark.parametrize("error", reference.error_classes(), ids=lambda error: error.__name__)
def test_an_error_without_a_message_says_what_its_class_means(error: type[WorkerError]) -> None:
    assert error.meaning()[0].isupper() and error.meaning().endswith(".")
    assert "Args:" not in error.meaning() and "Attributes:" not in error.meaning()


@pytest.mark.parametrize("meaning", [*reference.REJECTS.values(), *reference.MEANINGS.values()])
def test_a_meaning_in_a_table_is_a_sentence(meaning: str) -> None:
    assert meaning.endswith(".")
    assert meaning[0].isupper() or meaning[0] == "`"
