"""Steps and an encoder, compiled: what the wiring asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from worker.components import TRANSFORMS
from worker.config.chosen import Step
from worker.core.collect import Collector
from worker.core.found import Wanted
from worker.schema.model import Schema
from worker.transforms.context import Contexts
from worker.transforms.program import Plan, Program, RowEncoder, Shaper
from worker.transforms.routes import Part

_MAKES_NO_FIELDS: Final = ("filter", "mask", "drop", "select")


def compile_steps(
    plan: Plan,
    steps: Sequence[Step],
    output: Schema,
    encoder: RowEncoder,
    route: Sequence[Part] = (),
    *,
    fill: bool = True,
    contexts: Contexts | None = None,
    lists: Sequence[Wanted] = (),
) -> Shaper:
    """The function of a pipeline: its steps in order, then `encoder` over the fields of `output`.

    `contexts` makes what steps may ask for beside a record. `lists` is what other pipelines look
    for in the records.

    Raises ConfigError with the step, ConfigErrors for several. Behind a step that would have made
    fields nothing more is said: steps that use them would look wrong too.
    """
    program, found = Program(plan, output, contexts), Collector()
    for number, (verb, config) in enumerate(steps):
        program.step = f"transforms[{number}].{verb}"
        before = len(found.errors)
        with found.part(program.step):
            TRANSFORMS.load(verb).apply(program, config)
        if len(found.errors) > before and verb not in _MAKES_NO_FIELDS:
            break
    found.check()
    return program.finish(encoder, route, fill=fill, lists=lists)


def leaves(steps: Sequence[Step], name: str) -> bool:
    """Whether a field that comes in still has its name behind the steps."""
    return not any(
        (verb == "drop" and name in config)
        or (verb == "select" and name not in config)
        or (verb == "rename" and name in config)
        for verb, config in steps
    )
