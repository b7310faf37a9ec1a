"""Steps and an encoder, compiled: what `build.py` asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worker.core.errors import ConfigError
from worker.core.routes import Part
from worker.registry import TRANSFORMS, component
from worker.schema.model import Schema
from worker.transforms.program import Plan, Program, RowEncoder, Shaper


def compile_steps(
    plan: Plan,
    steps: Sequence[tuple[str, Any]],
    output: Schema,
    encoder: RowEncoder,
    route: Sequence[Part] = (),
    *,
    fill: bool = True,
) -> Shaper:
    """The function of a pipeline: (verb, its config) in order, then `encoder` over the fields of `output`. Raises ConfigError with the step."""
    program = Program(plan, output)
    for number, (verb, config) in enumerate(steps):
        program.step = f"transforms[{number}].{verb}"
        try:
            component(TRANSFORMS, "transform", verb).apply(program, config)
        except ConfigError as error:
            error.where = error.where or program.step
            raise
    return program.finish(encoder, route, fill=fill)
