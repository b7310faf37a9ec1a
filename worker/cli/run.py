"""`worker run`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from worker.cli import CONFIGS, STUCK_S
from worker.core.errors import ConfigError
from worker.runtime.streams import output, say

if TYPE_CHECKING:
    from worker.app import Backfill, Progress, RunResult, Watch
    from worker.runtime.lifecycle import Signals

PROGRESS_CHARS: Final = 200


@click.command("run")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.option("--once", is_flag=True, help="Finish the pass in progress, else make one; then exit.")
@click.option("--for", "for_", metavar="DURATION", help="Drain and exit after this time, like 10m.")
@click.option(
    "--pipeline", "only", multiple=True, metavar="NAME", help="Only this pipeline; may be repeated."
)
@click.option(
    "--from",
    "since",
    metavar="MARK",
    help="Read a range again, from this value of the incremental field on. The live mark does not "
    "move. The same range goes on where it ended before.",
)
@click.option("--to", "until", metavar="MARK", help="End of the range, exclusive; default: no end.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.pass_obj
def command(
    signals: Signals | None,
    config: tuple[Path, ...],
    once: bool,
    for_: str | None,
    only: tuple[str, ...],
    since: str | None,
    until: str | None,
    as_json: bool,
) -> int:
    """Run the pipelines of CONFIG files."""
    from worker.app import run
    from worker.settings import load_settings

    for_s, backfill = _seconds(for_), _backfill(since, until)
    try:
        result = run(
            load_settings(config),
            once=once,
            for_s=for_s,
            only=only,
            backfill=backfill,
            watch=progress_line() if once and not as_json else None,
            signals=signals,
        )
    except ConfigError as error:
        _raise_located(error, config)
    if once and sys.stderr.isatty():
        say("\n")
    if not once and (stdout := output()) is not None:
        stdout.patience_s = STUCK_S  # the summary of a daemon may have no reader
    print_summary(result, as_json=as_json)
    return result.exit_code


def _seconds(duration: str | None) -> float | None:
    from worker.config.scalars import duration_seconds

    try:
        return None if duration is None else duration_seconds(duration)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from error


def _backfill(since: str | None, until: str | None) -> Backfill | None:
    from worker.app import Backfill

    if since is not None:
        return Backfill(since, until)
    if until is not None:
        raise click.UsageError("--to needs --from")
    return None


def _raise_located(error: ConfigError, paths: Sequence[Path]) -> NoReturn:
    """Raises all problems of the config with their places, or else the error with its place."""
    from worker.cli.check import examine, locate
    from worker.config.problems import ConfigProblems

    problems, _ = examine(paths)
    if problems:
        raise ConfigProblems(problems) from None
    locate(error, paths)
    raise error


def progress_line() -> Watch | None:
    """A function that shows the progress of a run in one line of the terminal.

    None where stderr is no terminal.
    """
    if not sys.stderr.isatty():
        return None

    def show(pipelines: Sequence[Progress]) -> None:
        text = "; ".join(map(_progress, pipelines))
        say(f"\r\x1b[2K{text[:PROGRESS_CHARS]}")

    return show


def _progress(each: Progress) -> str:
    waiting = f", {each.waiting:,} not yet in one" if each.waiting else ""
    rejects = f", {each.rejects} rejects" if each.rejects else ""
    return f"{each.name}: {each.records:,} records, {each.files} files{waiting}{rejects}"


def print_summary(result: RunResult, *, as_json: bool) -> None:
    """Prints what a run did."""
    if as_json:
        from worker.cli.json import print_json

        print_json(result)
        return
    if not result.pipelines:
        click.echo(
            "no pipeline is enabled: nothing was done; "
            "set `enabled: true`, or name one with --pipeline"
        )
    for each in result.pipelines:
        files = f"{each.records} records in {each.files} files ({each.size_bytes} bytes)"
        click.echo(
            f"{each.name}: {files}, {each.rejects} rejects, "
            f"{each.deduplicated} duplicates dropped, {each.commits} commits"
        )
        click.echo(f"  files:        {each.output}")
        if each.rejects:
            click.echo(f"  dead letters: {each.dead_letters}")
        if each.note:
            click.echo(f"  note:         {each.note}")
        if each.error:
            click.echo(f"  error:        {each.error}")
    click.echo(f"{result.seconds:.1f} seconds, exit {result.exit_code}")
