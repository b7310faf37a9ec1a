"""`worker verify`."""

from __future__ import annotations

from pathlib import Path

import click

from worker.cli import CONFIGS
from worker.core.errors import Exit


@click.command("verify")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(config: tuple[Path, ...], as_json: bool) -> int:
    """Re-read published files against the commit log. Exit 65 when they differ."""
    from worker.app import open_log, output_roots
    from worker.runtime.verify import verify
    from worker.settings import load_settings

    settings = load_settings(config)
    log = open_log(settings, read_only=True)
    try:
        reports = [verify(log, name, output_roots(settings, name)) for name in settings.pipelines]
    finally:
        log.close()
    findings = [finding for report in reports for finding in report.findings]
    if as_json:
        from worker.cli.json import print_json

        print_json(reports)
    else:
        for report in reports:
            click.echo(
                f"{report.pipeline}: {report.commits} commits, {report.files} files, {report.rows} rows checked, {report.moved} moved away by others"
            )
        for finding in findings:
            click.echo(f"  {finding}")
        click.echo("ok" if not findings else f"{len(findings)} problems")
    return int(Exit.DATA if findings else Exit.OK)
