"""What components of a command say, for people."""

from __future__ import annotations

from dataclasses import asdict

import click

from worker.core.events import Event
from worker.runtime.streams import harmless


def warn(event: Event) -> None:
    """Prints an event to standard error: what it means, and its fields."""
    meaning = " ".join((type(event).__doc__ or "").split())
    fields = ", ".join(f"{name} {value}" for name, value in asdict(event).items())
    click.echo(harmless(f"{event.level}: {meaning} ({fields})"), err=True)
