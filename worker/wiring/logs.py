"""The commit log of a config."""

from __future__ import annotations

from contextlib import AsyncExitStack

from worker.components import STATE
from worker.core.ports import CommitLog
from worker.settings import Settings


def opened_log(stack: AsyncExitStack, settings: Settings) -> CommitLog:
    """The commit log, open until the stack closes."""
    log = open_log(settings, read_only=False)
    stack.callback(log.close)
    return log


def open_log(settings: Settings, *, read_only: bool) -> CommitLog:
    """The commit log of a config."""
    log: CommitLog = STATE.load(settings.state.type).build(settings.state, read_only=read_only)
    return log
