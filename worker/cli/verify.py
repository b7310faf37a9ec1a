"""`worker verify`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker.cli import CONFIGS
from worker.core.errors import Exit

if TYPE_CHECKING:
    from worker.runtime.verify import Report


@click.command("verify")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(config: tuple[Path, ...], as_json: bool) -> int:
    """Re-read published files against the commit log. Exit 65 when they differ."""
    from worker.runtime.verify import verify
    from worker.settings import load_settings
    from worker.wiring.logs import open_log
    from worker.wiring.outputs import output_roots

    settings = load_settings(config)
    with closing(open_log(settings, read_only=True)) as log:
        reports = [
            verify(log, name, output_roots(settings, name, log.places(name)))
            for name in settings.pipelines
        ]
    if as_json:
        from worker.cli.json import print_json

        print_json(reports)
    else:
        _print(reports)
    return int(Exit.DATA if any(report.findings for report in reports) else Exit.OK)


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
