"""`rename: {old: new}`: gives fields other names, all at once, so that two may change places."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from worker.core.errors import ConfigError
from worker.transforms.program import Program

Config = Annotated[dict[str, str], Field(min_length=1, description="old name: new name")]


def apply(program: Program, config: Config) -> None:
    """Raises ConfigError for a name that is no field, and for a new name that is taken."""
    program.require(config)
    taken = [new for new in config.values() if new in program.columns and new not in config]
    if taken or len(set(config.values())) < len(config):
        raise ConfigError(
            f"the new name {(taken or sorted(config.values()))[0]!r} is taken",
            where=program.step,
            remedy="drop that field first, or choose another name",
        )
    program.columns = {
        config.get(name, name): replace(column, made_by=program.step) if name in config else column
        for name, column in program.columns.items()
    }
