"""The check at the start of a pipeline: may files of its schema follow those that are committed?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from worker.core.errors import IncompatibleSchema
from worker.schema import Schema, parse_schema
from worker.schema.compat import Incompatibility, check
from worker.settings import Settings
from worker.wiring.logs import open_log
from worker.wiring.parts import Parts
from worker.wiring.schemas import Registries

_MEANING = {
    "backward": "the new schema cannot read the committed files",
    "forward": "readers with the old schema cannot read the new files",
}


def compatibility_check(output: Schema, level: str) -> Callable[[Sequence[str]], None]:
    """Makes a function of the schemas of committed files, the newest last.

    It raises IncompatibleSchema with every reason why files of `output` may not follow them.
    """

    def compare(committed: Sequence[str]) -> None:
        if not committed or level == "none" or set(committed) == {output.source}:
            return
        found = check(
            output, [parse_schema(text, strict=False) for text in committed], level.upper()
        )
        if found:
            reasons = "; ".join(_reason(each, len(committed)) for each in found)
            raise IncompatibleSchema(
                f"the schema of the files is not {level.replace('_', ' ')} compatible: {reasons}",
                where="output_schema",
                remedy="change it so that it is, write to another sink.path after "
                "`worker state reset`, or set schema_compatibility: none for one run",
            )

    return compare


async def register_output(settings: Settings, parts: Parts, registries: Registries) -> None:
    """Registers the schema of the files of a pipeline, where its config says so.

    Raises IncompatibleSchema where the check forbids these files: then nothing is registered.
    """
    if parts.config.sink.register_ is None:
        return
    log = open_log(settings, read_only=False)
    try:
        committed = log.schemas(parts.name)
    finally:
        log.close()
    compatibility_check(parts.output, parts.config.schema_compatibility)(committed)
    await registries.register(parts.config, parts.output)


def _reason(each: Incompatibility, count: int) -> str:
    older = count - 1 - each.version
    behind = f" of {older} versions before" if older else ""
    return f"{_MEANING[each.direction]}{behind}: {each.problem}"
