"""`worker verify`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from worker.cli import CONFIGS
from worker.core.errors import Exit

if TYPE_CHECKING:
    from worker.core.ports import CommitLog
    from worker.runtime.verify import Report
    from worker.settings import Settings

SHOWN_EVERY_S: Final = 0.2


class _Since(click.ParamType[int | str]):
    """A number of a commit or a time."""

    name = "COMMIT|TIME"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        if value.isdecimal():
            return int(value)
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is neither the number of a commit nor a time like 2026-11-30T08:00:00Z",
                param,
                ctx,
            )
        from worker.core.instants import rfc3339_millis

        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return rfc3339_millis(at)  # as commits have it


@click.command("verify")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.option(
    "--since",
    type=_Since(),
    help="Only commits from this one on; a time is in UTC unless it says otherwise.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(config: tuple[Path, ...], since: int | str | None, as_json: bool) -> int:
    """Re-read published files against the commit log. Exit 65 when they differ."""
    from worker.settings import load_settings
    from worker.wiring.logs import open_log

    settings = load_settings(config)
    with closing(open_log(settings, read_only=True)) as log:
        reports = [_verified(settings, log, name, since) for name in settings.pipelines]
    if as_json:
        from worker.cli.json import print_json

        print_json(reports)
    else:
        _print(reports)
    return int(Exit.DATA if any(report.findings for report in reports) else Exit.OK)


def _verified(settings: Settings, log: CommitLog, name: str, since: int | str | None) -> Report:
    from worker.wiring.evidence import verified

    if not sys.stderr.isatty():
        return verified(settings, log, name, since=since)
    with _progress_line() as progress:
        return verified(settings, log, name, since=since, progress=progress)


@contextmanager
def _progress_line() -> Iterator[Callable[[Report, int], None]]:
    """What shows in one line of the terminal how far a pipeline is; the line is gone afterwards."""
    from worker.runtime.streams import say

    shown = time.monotonic()

    def show(report: Report, commits: int) -> None:
        nonlocal shown
        if (now := time.monotonic()) - shown >= SHOWN_EVERY_S:
            shown = now
            text = f"{report.pipeline}: {report.commits:,} of {commits:,} commits"
            say(f"\r\x1b[2K{text}, {report.files:,} files, {len(report.findings)} problems")

    try:
        yield show
    finally:
        say("\r\x1b[2K")


def _print(reports: Sequence[Report]) -> None:
    for report in reports:
        click.echo(
            f"{report.pipeline}: {report.commits} commits, {report.files} files,"
            f" {report.rows} rows checked, {report.moved} moved away by others"
        )
    findings = [finding for report in reports for finding in report.findings]
    for finding in findings:
        click.echo(f"  {finding}")
    click.echo(f"{len(findings)} problems" if findings else "ok")
