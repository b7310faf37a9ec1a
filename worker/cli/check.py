"""`worker check`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from worker.cli import CONFIGS
from worker.core.errors import ConfigError, Exit

if TYPE_CHECKING:
    from worker.config.problems import Path_, Problem
    from worker.core.errors import WorkerError
    from worker.core.model import FieldError
    from worker.settings import Inspection, Settings
    from worker.wiring.live_state import LiveState
    from worker.wiring.peek import Peek

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
    """Check CONFIG files, and exit 78 with every problem and its place.

    The state that is there is read too: what `run` would refuse because of it is named, and is the
    exit code. Nothing is written, no lock is taken, and nothing is fetched without --connect.
    """
    from worker.cli.json import print_json
    from worker.config.problems import ConfigProblems

    problems, promises = examine(config, with_state=True)
    if problems:
        if not as_json:
            raise ConfigProblems(problems)
        print_json([problem.to_json() for problem in problems])
        return Exit.CONFIG
    failed = _connect(config, promises) if connect else []
    code = _exit(promises, failed)
    if as_json:
        print_json(list(map(_to_json, promises)))
        return code
    _print(promises)
    click.echo("ok" if code == Exit.OK else f"exit {int(code)}")
    return code


def _exit(promises: Sequence[dict[str, Any]], failed: Sequence[WorkerError]) -> Exit:
    """The exit code: what `run` would refuse, what failed, or what was found, decides."""
    from worker.core.errors import deciding_error

    refused = [each["refused"] for each in promises if each["refused"] is not None]
    if (decides := deciding_error([*refused, *failed])) is not None:
        return decides.exit
    findings = [found for each in promises for found in each.get("findings", ())]
    return Exit.DATA if any(each.alarm for each in findings) else Exit.OK


def _print(promises: list[dict[str, Any]]) -> None:
    for each in promises:
        click.echo(f"{each.pop('pipeline')}:")
        warnings, findings = each.pop("warnings", ()), each.pop("findings", ())
        if each["refused"] is None:
            del each["refused"]
        for key, value in each.items():
            click.echo(f"  {key.replace('_', ' ')}: {_shown(value)}")
        for warning in warnings:
            click.echo(f"  warning: {warning}")
        for finding in findings:
            click.echo(f"  {'error' if finding.alarm else 'warning'}: {finding}")


def _to_json(promise: dict[str, Any]) -> dict[str, Any]:
    """A promise for programs: positions, findings and errors as values, not in words."""
    found, position, refused = dict(promise), promise.get("next_position"), promise["refused"]
    if position is not None:
        found["next_position"] = position.place
    if "findings" in promise:
        found["findings"] = [asdict(each) for each in promise["findings"]]
    if refused is not None:
        found["refused"] = {
            "code": refused.code,
            "exit": int(refused.exit),
            "where": refused.where,
            "message": refused.message,
            "remedy": refused.remedy,
        }
    return found


def _shown(value: Any) -> Any:
    """A value of a promise for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else value


def _connect(paths: Sequence[Path], promises: list[dict[str, Any]]) -> list[WorkerError]:
    """Makes one request for each enabled pipeline, and adds what came of it to its promises.

    Returns the errors that came instead.
    """
    import asyncio

    from worker.core.errors import WorkerError
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
        else:
            promise |= _seen(seen)
    return errors


def _seen(page: Peek) -> dict[str, Any]:
    """What the first page of a pipeline says, by the keys of the promises."""
    counts = f"{page.received} records, {len(page.rejects)} of them rejects"
    return {
        "connected": f"partition {page.partition}: {counts}, {page.filtered} filtered",
        "first_reject": field_errors(page.rejects[0].errors) if page.rejects else None,
        **({"first_page": page.memory} if page.memory else {}),
        "total": page.total,
        "next_position": page.position,
        "findings": page.findings,
    }


def field_errors(errors: Sequence[FieldError]) -> str:
    """What is wrong with a record, in one line."""
    return "; ".join(f"{each.path}: found {each.found}, allowed {each.allowed}" for each in errors)


def examine(
    paths: Sequence[Path], *, with_state: bool = False
) -> tuple[Sequence[Problem], list[dict[str, Any]]]:
    """What is wrong with config files and what they refer to, and what each pipeline promises.

    A pipeline with problems promises nothing.

    Args:
        with_state: the state that is there is looked at too, if the files can be read.
    """
    from contextlib import nullcontext

    from worker.settings import inspect_settings
    from worker.wiring.live_state import live_state

    inspection = inspect_settings(paths)
    settings = inspection.settings
    looking = nullcontext() if settings is None or not with_state else live_state(settings)
    with looking as live:
        return _examined(inspection, paths, live)


def _examined(
    inspection: Inspection, paths: Sequence[Path], live: LiveState | None
) -> tuple[Sequence[Problem], list[dict[str, Any]]]:
    from worker.config.preflight import preflight, preflight_state
    from worker.config.problems import in_order
    from worker.settings import PipelineSettings

    merged, settings = inspection.merged, inspection.usable()
    problems = list(inspection.problems)
    promises: list[dict[str, Any]] = []
    state = _state(inspection)
    # one that is there may be looked at where it cannot be written, like a mounted copy
    if state is not None and (live is None or live.absent):
        problems += preflight_state(merged, state)
    pipelines = merged.values.get("pipelines")
    for name, raw in (pipelines if isinstance(pipelines, dict) else {}).items():
        found = preflight(merged, name, raw, PipelineSettings, inspection.environ)
        sound = not found and not _has_problems(inspection, name)
        if sound and settings is not None and name in settings.pipelines:
            found = list(_compiled(inspection, settings, name, promises, live))
        problems += found
    return in_order(problems, paths), promises


def _has_problems(inspection: Inspection, pipeline: str) -> bool:
    below = (f"pipelines.{pipeline}.", f"pipelines.{pipeline}[")
    return any(each.place.key.startswith(below) for each in inspection.problems)


def locate(error: ConfigError, paths: Sequence[Path]) -> None:
    """Gives an error its place in the files, if it names a key.

    These are errors that only a run can find, like a port that is in use.
    """
    from worker.settings import inspect_settings

    merged = inspect_settings(paths).merged
    if _KEY.fullmatch(error.where) and (path := _parts(error.where))[0] in merged.values:
        error.where = str(merged.place(path))


def _state(inspection: Inspection) -> Path | None:
    """The path of the state, also where the rest of the config is wrong."""
    if inspection.settings is not None:
        return inspection.settings.state.path
    state = inspection.merged.values.get("state")
    path = state.get("path") if isinstance(state, dict) else None
    return Path(path) if isinstance(path, str) and path else None


def _compiled(
    inspection: Inspection,
    settings: Settings,
    name: str,
    promises: list[dict[str, Any]],
    live: LiveState | None,
) -> Iterator[Problem]:
    """Compiles one pipeline and adds its promises, or yields the problems with their places."""
    from worker.config.problems import Problem
    from worker.core.collect import ConfigErrors
    from worker.wiring.describe import describe

    try:
        promises += describe(settings, live, only=(name,))
    except ConfigError as error:
        for each in error.errors if isinstance(error, ConfigErrors) else (error,):
            path: Path_ = ("pipelines", name)
            message = each.message
            if _KEY.fullmatch(each.where):
                path = (*path, *_parts(each.where))
            elif each.where:
                message = f"{each.where}: {message}"
            place = inspection.merged.place(path)
            yield Problem("pipeline", place, message, remedy=each.remedy)


def _parts(key: str) -> Path_:
    """The path of a key as it is written: `source.stop.status[0]`."""
    return tuple(
        int(part) if part.isdigit() else part for part in re.split(r"[.\[\]]+", key) if part
    )
