"""`worker run`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker.cli import CONFIGS, STUCK_S
from worker.core.errors import ConfigError
from worker.runtime.streams import output, say

if TYPE_CHECKING:
    from worker.app import Progress, RunResult, Watch


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
    help="Read a range again, from this value of the incremental field on; the live mark does not move. The same range once more goes on where it ended.",
)
@click.option(
    "--to", "until", metavar="MARK", help="End of the range, exclusive; default: the end."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    config: tuple[Path, ...],
    once: bool,
    for_: str | None,
    only: tuple[str, ...],
    since: str | None,
    until: str | None,
    as_json: bool,
) -> int:
    """Run the pipelines of CONFIG files."""
    from worker.app import Backfill, run
    from worker.cli.check import examine, locate
    from worker.config.problems import ConfigProblems
    from worker.config.scalars import duration_seconds
    from worker.settings import load_settings

    try:
        for_s = None if for_ is None else duration_seconds(for_)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from error
    if since is None and until is not None:
        raise click.UsageError("--to needs --from")
    try:
        result = run(
            load_settings(config),
            once=once,
            for_s=for_s,
            only=only,
            backfill=None if since is None else Backfill(since, until),
            watch=progress_line() if once and not as_json else None,
        )
    except ConfigError as error:
        problems, _ = examine(config)  # all of them, with their places
        if problems:
            raise ConfigProblems(problems) from None
        locate(error, config)
        raise
    if once and sys.stderr.isatty():
        say("\n")
    if not once and (stdout := output()) is not None:
        stdout.patience_s = STUCK_S  # nobody may be there to read what a daemon says at its end
    print_summary(result, as_json=as_json)
    return result.exit_code


def progress_line() -> Watch | None:
    """Keeps one line of a terminal up to date; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        return None

    def show(pipelines: Sequence[Progress]) -> None:
        text = "; ".join(
            f"{each.name}: {each.records:,} records, {each.files} files"
            + (f", {each.waiting:,} not yet in one" if each.waiting else "")
            + (f", {each.rejects} rejects" if each.rejects else "")
            for each in pipelines
        )
        say(f"\r\x1b[2K{text[:200]}")

    return show


def print_summary(result: RunResult, *, as_json: bool) -> None:
    """What a run did, to stdout."""
    if as_json:
        from worker.cli.json import print_json

        print_json(result)
        return
    if not result.pipelines:
        click.echo(
            "no pipeline is enabled: nothing was done; set `enabled: true`, or name one with --pipeline"
        )
    for each in result.pipelines:
        click.echo(
            f"{each.name}: {each.records} records in {each.files} files ({each.size_bytes} bytes), {each.rejects} rejects, "
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
