"""`drop: [a, b]`: drops these fields."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from worker.transforms.program import Program

Config = Annotated[tuple[str, ...], Field(min_length=1, description="drop these fields")]


def apply(program: Program, config: Config) -> None:
    """Raises ConfigError for a name that is no field."""
    program.require(config)
    program.columns = {
        name: column for name, column in program.columns.items() if name not in config
    }
