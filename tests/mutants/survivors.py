"""Mutants that the tests do not notice, each with the reason why that is right, in survivors.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class Identity:
    """How a mutant is known, also after changes elsewhere in its module.

    `occurrence` counts, from 0 at the top of the module, what is otherwise the same.
    """

    module: str  # below worker/
    operator: str
    line: str
    occurrence: int


def reasons() -> dict[Identity, str]:
    entries = tomllib.loads(FILE.read_text()).get("survivor", [])
    found = {
        Identity(each["module"], each["operator"], each["line"], each["occurrence"]): each["reason"]
        for each in entries
    }
    assert len(found) == len(entries), "a survivor stands twice in survivors.toml"
    return found
