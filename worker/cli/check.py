"""`worker check`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from worker.cli import CONFIGS
from worker.core.errors import ConfigError, Exit

if TYPE_CHECKING:
    from worker.config.problems import Path_, Problem
    from worker.settings import Inspection, Settings

_KEY: Final = re.compile(r"[a-z_]+(?:\[\d+\]|\.[A-Za-z_][\w-]*)*")


@click.command("check")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON: a list of promises, or of problems with exit code 78.",
)
@click.option(
    "--connect",
    is_flag=True,
    help="Also make one request for each pipeline and say what came back.",
)
def command(config: tuple[Path, ...], as_json: bool, connect: bool) -> int:
    """Check CONFIG files; nothing is written, and without --connect nothing fetched. Exit 78 with every problem and its place."""
    from worker.cli.json import print_json
    from worker.config.problems import ConfigProblems

    problems, promises = examine(config)
    if problems and not as_json:
        raise ConfigProblems(problems)
    code = _connect(config, promises) if connect and not problems else Exit.OK
    if as_json:
        print_json([problem.to_json() for problem in problems] if problems else promises)
        return int(Exit.CONFIG if problems else code)
    for each in promises:
        click.echo(f"{each.pop('pipeline')}:")
        for key, value in each.items():
            click.echo(f"  {key.replace('_', ' ')}: {_shown(value)}")
    click.echo("ok" if code == Exit.OK else f"exit {int(code)}")
    return int(code)


def _shown(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else value


def _connect(paths: Sequence[Path], promises: list[dict[str, Any]]) -> Exit:
    """One request for each enabled pipeline: what was found, or why not."""
    import asyncio

    from worker.core.errors import WorkerError, deciding_error
    from worker.settings import load_settings
    from worker.wiring.peek import peek

    settings, errors = load_settings(paths), list[WorkerError]()
    for promise in promises:
        if not promise["enabled"]:
            continue
        try:
            seen = asyncio.run(peek(settings, promise["pipeline"], records=1, pages=1))
        except WorkerError as error:
            promise["connected"] = str(error)
            errors.append(error)
            continue
        promise["connected"] = (
            f"partition {seen.partition}: {seen.received} records, {len(seen.rejects)} of them rejects, {seen.filtered} filtered"
        )
        promise["first_reject"] = (
            "; ".join(
                f"{each.path}: found {each.found}, allowed {each.allowed}"
                for each in seen.rejects[0].errors
            )
            if seen.rejects
            else None
        )
        promise["total"] = seen.total
        promise["next_position"] = None if seen.position is None else seen.position.place
    decides = deciding_error(errors)
    return Exit.OK if decides is None else decides.exit


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
        said = [
            each.place.key
            for each in inspection.problems
            if each.place.key.startswith((f"pipelines.{name}.", f"pipelines.{name}["))
        ]
        if settings is not None and name in settings.pipelines and not found and not said:
            found = list(_compiled(inspection, settings, name, promises))
        problems += found
    return in_order(problems, paths), promises


def locate(error: ConfigError, paths: Sequence[Path]) -> None:
    """Gives an error of a key, which only a run can find (a port that is in use), the place of the key."""
    from worker.settings import inspect_settings

    merged = inspect_settings(paths).merged
    if _KEY.fullmatch(error.where) and (path := _parts(error.where))[0] in merged.values:
        error.where = str(merged.place(path))


def _state(inspection: Inspection) -> Path | None:
    if inspection.settings is not None:
        return inspection.settings.state.path
    state = inspection.merged.values.get("state")
    path = state.get("path") if isinstance(state, dict) else None
    return Path(path) if isinstance(path, str) and path else None


def _compiled(
    inspection: Inspection, settings: Settings, name: str, promises: list[dict[str, Any]]
) -> Iterator[Problem]:
    """Compiles one pipeline; what it says of a key below the pipeline is given the place of that key."""
    from worker.config.problems import Problem
    from worker.core.collect import ConfigErrors
    from worker.wiring.describe import describe

    try:
        promises += describe(
            settings.model_copy(update={"pipelines": {name: settings.pipelines[name]}})
        )
    except ConfigError as error:
        for each in error.errors if isinstance(error, ConfigErrors) else (error,):
            path: Path_ = ("pipelines", name)
            if _KEY.fullmatch(each.where):
                yield Problem(
                    "pipeline",
                    inspection.merged.place((*path, *_parts(each.where))),
                    each.message,
                    remedy=each.remedy,
                )
            else:
                yield Problem(
                    "pipeline",
                    inspection.merged.place(path),
                    f"{each.where}: {each.message}" if each.where else each.message,
                    remedy=each.remedy,
                )


def _parts(key: str) -> Path_:
    return tuple(
        int(part) if part.isdigit() else part for part in re.split(r"[.\[\]]+", key) if part
    )
