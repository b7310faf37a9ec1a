"""`worker demo`."""

from __future__ import annotations

import click


@click.command("demo")
def command() -> int:
    """Pull 24,000 real flight records from a bundled server with faults into ./var/lake/flights."""
    from worker.demo import run

    return run()
