"""`set: {name: expression}`: sets fields. All expressions see the record as it was before the
step."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from worker.transforms.expression import compile_expression
from worker.transforms.program import Program

Config = Annotated[dict[str, str], Field(min_length=1, description="field: expression")]


def apply(program: Program, config: Config) -> None:
    """Raises ConfigError for an expression that does not compile."""
    terms = {name: compile_expression(text, program) for name, text in config.items()}
    for name, term in terms.items():
        with program.written_as(config[name]):
            program.assign(name, term)
