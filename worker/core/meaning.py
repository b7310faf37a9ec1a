"""Whether stored cursors still mean what they meant when they were stored. Pure.

The *fingerprint* of a pipeline is a hash for each key of its source that gives cursors their
meaning (`url`, `params`, `pagination`, ...). A commit log keeps the one of the last run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.core.errors import ConfigError

LATER: Final = ("key", "method", "headers")
"""Entries that states of older versions lack: nobody knows what they were, so they count as
unchanged."""


def refuse_changed(
    pipeline: str, known: Mapping[str, str], now: Mapping[str, str], *, started: bool, keyed: bool
) -> None:
    """Raises ConfigError naming the keys of the config that no longer mean what the cursors mean.

    Args:
        known: the fingerprint that the log keeps; empty for a pipeline that never ran.
        now: the fingerprint of the config.
        started: some partition has a cursor that was moved. Before that nothing rests on `known`.
        keyed: boundary keys are stored that were made with `source.key`. Without any it may change.
    """
    if not known or not started:
        return
    changed = sorted(
        entry
        for entry in {*known, *now}
        if known.get(entry) != now.get(entry)
        and (keyed or entry != "key")
        and (entry in known or entry not in LATER)
    )
    if changed:
        raise ConfigError(
            f"pipeline {pipeline!r}: source.{', source.'.join(changed)} changed since its cursors"
            " were stored; they would mean something else now",
            remedy="put it back, rename the pipeline, or read everything again:"
            f" `worker state reset CONFIG --pipeline {pipeline}`",
        )
