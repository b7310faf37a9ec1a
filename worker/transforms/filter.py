"""`filter: expression`: keeps the records for which it is true; where it is false or null, they are
counted as filtered."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from worker.transforms.expression import compile_condition
from worker.transforms.program import Program

Config = Annotated[str, Field(description="expression; records for which it is true go on")]


def apply(program: Program, config: Config) -> None:
    """Raises ConfigError for an expression that does not compile, or is no boolean."""
    condition = compile_condition(config, program).condition
    with program.written_as(config):
        program.keep_if(condition)
