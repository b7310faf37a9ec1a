"""`worker read`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from worker.cli import CONFIGS, STUCK_S
from worker.cli.check import field_errors
from worker.core.errors import Exit
from worker.runtime.streams import say


def tell(text: str) -> None:
    """Says on stderr why it takes so long."""
    say(f"{text}\n")


@click.command("read")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.argument("pipeline")
@click.option(
    "-n", "count", default=10, show_default=True, type=click.IntRange(1), help="Records to print."
)
def command(config: tuple[Path, ...], pipeline: str, count: int) -> int:
    """Fetch, validate and transform the first records of PIPELINE, and print them as JSON lines.

    Nothing is written, and no state is touched. What the pages show to be wrong is said, and ends
    with exit code 65.
    """
    from worker.settings import load_settings
    from worker.wiring.peek import peek

    seen = asyncio.run(peek(load_settings(config), pipeline, records=count, tell=tell))
    for line in seen.lines[:count]:
        click.echo(line)
    for reject in seen.rejects[:count]:
        what = f"record {reject.index}, {reject.stage} {reject.code}"
        say(f"reject: {what}: {field_errors(reject.errors)}\n", wait_s=STUCK_S)
    counts = (
        f"{seen.received} records received, {seen.filtered} filtered, {len(seen.rejects)} rejects"
    )
    say(f"{seen.pages} pages of partition {seen.partition}: {counts}\n", wait_s=STUCK_S)
    for finding in seen.findings:
        say(f"{'error' if finding.alarm else 'warning'}: {finding}\n", wait_s=STUCK_S)
    if seen.error is not None:
        raise seen.error
    return int(Exit.DATA if any(each.alarm for each in seen.findings) else Exit.OK)
