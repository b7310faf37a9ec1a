"""The glossary has every word of the design that the product has, each once, and none that nobody
uses.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
WORDS = re.findall(r"^\| ([a-z ]+) \|", GLOSSARY.read_text(), re.M)[1:]
"""The first column, without its head."""

DESIGN = (
    *("instance", "pipeline", "partition", "route", "pass", "mark", "page", "record", "chunk"),
    *("reject", "cursor", "commit", "commit log", "epoch", "root", "bound", "lineage", "attempt"),
    "chain",
    *("delivery", "completeness"),
)
"""The vocabulary of the design, as far as the product has it."""
NOT_YET = ("shard",)
"""Words of the design that the product does not have: whoever adds the thing moves its word up."""


CODE = "\n".join(
    path.read_text() for path in (ROOT / "worker").rglob("*.py") if "demo" not in path.parts
).lower()


def test_each_word_has_one_row() -> None:
    assert len(WORDS) > 30
    assert len(set(WORDS)) == len(WORDS)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_used_in_the_code(word: str) -> None:
    assert re.search(rf"\b{word.replace(' ', '[ _]')}s?\b", CODE)


@pytest.mark.parametrize("word", DESIGN)
def test_a_word_of_the_design_is_in_the_glossary(word: str) -> None:
    assert word in WORDS


@pytest.mark.parametrize("word", NOT_YET)
def test_a_word_for_what_is_not_there_yet_is_not_in_the_glossary(word: str) -> None:
    assert word not in WORDS
