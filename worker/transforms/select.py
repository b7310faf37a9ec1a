"""`select: [a, b]`: keeps these fields, drops the others."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from worker.transforms.program import Program

Config = Annotated[tuple[str, ...], Field(min_length=1, description="keep these fields")]


def apply(program: Program, config: Config) -> None:
    """Raises ConfigError for a name that is no field."""
    program.require(config)
    program.columns = {name: column for name, column in program.columns.items() if name in config}
