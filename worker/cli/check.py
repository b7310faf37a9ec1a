"""`worker check`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from worker.core.errors import ConfigError, Exit

if TYPE_CHECKING:
    from worker.config.problems import Path_, Problem
    from worker.settings import Inspection, Settings

_KEY: Final = re.compile(r"[a-z_]+(?:\[\d+\]|\.[A-Za-z_][\w-]*)*")


@click.command("check")
@click.argument("config", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of promises, or of problems with exit code 78.")
def command(config: tuple[Path, ...], as_json: bool) -> int:
    """Check CONFIG files; nothing is fetched or written. Exit 78 with every problem and its place."""
    import orjson

    from worker.config.problems import ConfigProblems

    problems, promises = examine(config)
    if problems and not as_json:
        raise ConfigProblems(problems)
    if as_json:
        click.echo(orjson.dumps([problem.to_json() for problem in problems] if problems else promises))
        return int(Exit.CONFIG if problems else Exit.OK)
    for each in promises:
        click.echo(f"{each.pop('pipeline')}:")
        for key, value in each.items():
            click.echo(f"  {key.replace('_', ' ')}: {value}")
    click.echo("ok")
    return int(Exit.OK)


def examine(paths: Sequence[Path]) -> tuple[Sequence[Problem], list[dict[str, Any]]]:
    """Everything that is wrong with config files and what they refer to, or else what each pipeline promises."""
    from worker.config.preflight import preflight, preflight_state
    from worker.config.problems import in_order
    from worker.settings import inspect_settings

    inspection = inspect_settings(paths)
    merged, settings = inspection.merged, inspection.usable()
    problems = list(inspection.problems)
    promises: list[dict[str, Any]] = []
    if (state := _state(inspection)) is not None:
        problems += preflight_state(merged, state)
    pipelines = merged.values.get("pipelines")
    for name, raw in (pipelines if isinstance(pipelines, dict) else {}).items():
        found = preflight(merged, name, raw)
        said = [each.place.key for each in inspection.problems if each.place.key.startswith((f"pipelines.{name}.", f"pipelines.{name}["))]
        if settings is not None and name in settings.pipelines and not found and not said:
            found = list(_compiled(inspection, settings, name, promises))
        problems += found
    return in_order(problems, paths), promises


def _state(inspection: Inspection) -> Path | None:
    if inspection.settings is not None:
        return inspection.settings.state.path
    state = inspection.merged.values.get("state")
    path = state.get("path") if isinstance(state, dict) else None
    return Path(path) if isinstance(path, str) and path else None


def _compiled(inspection: Inspection, settings: Settings, name: str, promises: list[dict[str, Any]]) -> Iterator[Problem]:
    """Compiles one pipeline; what it says of a key below the pipeline is given the place of that key."""
    from worker.build import describe
    from worker.config.problems import Problem

    try:
        promises += describe(settings.model_copy(update={"pipelines": {name: settings.pipelines[name]}}))
    except ConfigError as error:
        text = str(error).removeprefix(f"pipeline {name}: ")
        key, _, rest = text.partition(": ")
        path: Path_ = ("pipelines", name)
        if _KEY.fullmatch(key) and rest:
            path, text = (*path, *_parts(key)), rest
        yield Problem("pipeline", inspection.merged.place(path), text)


def _parts(key: str) -> Path_:
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"[.\[\]]+", key) if part)
