"""`drop: [a, b]`: drops these fields."""

from __future__ import annotations

from worker.transforms.program import Program

Config = list[str]


def apply(program: Program, config: Config) -> None:
    """Raises ConfigError for a name that is no field."""
    program.require(config)
    program.columns = {
        name: column for name, column in program.columns.items() if name not in config
    }
