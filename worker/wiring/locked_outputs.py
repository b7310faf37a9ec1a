"""The outputs of a pipeline, locked for a command that changes something there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from worker.core.events import Emit
from worker.settings import Settings
from worker.sinks.root_ids import root_id
from worker.sinks.used_roots import WAIT_S, HeldElsewhere, UsedRoots
from worker.wiring.outputs import output_paths

_ASK_S: Final = 1.0


@contextmanager
def locked_outputs(
    settings: Settings,
    pipeline: str,
    state_id: str,
    emit: Emit,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Holds the outputs of a pipeline that are there.

    Waits for one that another machine holds. Raises RootBusy, and others as `UsedRoots.enter`.
    """
    used, end = UsedRoots(emit, monotonic=monotonic), monotonic() + WAIT_S
    try:
        for path in output_paths(settings, pipeline):
            while root_id(path):
                try:
                    used.enter(path, state_id, 0)
                    break
                except HeldElsewhere:
                    if monotonic() > end:
                        raise
                sleep(_ASK_S)
        yield
    finally:
        used.close()
