"""The commit log of a config."""

from __future__ import annotations

from pathlib import Path

from worker.components import STATE
from worker.core.ports import CommitLog
from worker.settings import Settings


def open_log(settings: Settings, *, read_only: bool) -> CommitLog:
    """A connection to the commit log of a config; whoever opens it closes it."""
    log: CommitLog = STATE.load(settings.state.type).build(settings.state, read_only=read_only)
    return log


def put_aside(settings: Settings) -> Path | None:
    """Gives the commit log of a config another name, and returns it; None where there is none. The
    state must be locked.
    """
    aside: Path | None = STATE.load(settings.state.type).put_aside(settings.state)
    return aside
