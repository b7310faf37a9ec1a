"""The state that is there, as `check` looks at it: what `run` would refuse because of it.

It is only looked at: no lock is taken, and nothing is written, whoever has it open.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from worker.core.errors import SinkUnavailable, StateAbsent, StateError, WorkerError
from worker.core.meaning import change, refuse_changed, source_cursors
from worker.core.model import REPLAYED
from worker.core.ports import CommitHistory
from worker.settings import PipelineSettings, Settings
from worker.wiring.compatibility_check import compatibility_check
from worker.wiring.logs import open_log
from worker.wiring.parts import Parts


@dataclass(frozen=True, slots=True)
class Finding:
    """What the state says to a pipeline.

    Attributes:
        state: which state was read, for people.
        refused: what `run` would end with; None where it would go on.
    """

    state: str
    refused: WorkerError | None = None


class LiveState:
    """The state of a config, open for looking.

    Attributes:
        absent: there is none yet.
    """

    def __init__(self, log: CommitHistory | None, unread: StateError | SinkUnavailable | None):
        self._log, self._unread = log, unread
        self.absent = isinstance(unread, StateAbsent)

    def look(self, name: str, config: PipelineSettings, parts: Parts | None) -> Finding:
        """What the state says to a pipeline. `parts`: None while its schemas are not known."""
        if self._log is None:
            assert self._unread is not None, "a log that was not opened has a reason"
            refused = None if self.absent else self._unread
            return Finding(self._unread.message, refused if config.enabled else None)
        try:
            found = _looked(self._log, name, config, parts)
        except (StateError, SinkUnavailable) as error:
            found = Finding(str(self._log), error)
        return found if config.enabled else replace(found, refused=None)


@contextmanager
def live_state(settings: Settings) -> Iterator[LiveState]:
    """The state of a config as it is. That it cannot be read is a finding, and no error."""
    try:
        log = open_log(settings, read_only=True)
    except (StateError, SinkUnavailable) as error:
        yield LiveState(None, error)
        return
    try:
        yield LiveState(log, None)
    finally:
        log.close()


def _looked(
    log: CommitHistory, name: str, config: PipelineSettings, parts: Parts | None
) -> Finding:
    row = next((each for each in log.pipelines() if each.name == name), None)
    if row is None:
        return Finding(f"{log}, nothing of this pipeline yet")
    keyed = any(partition != REPLAYED for partition in log.remembered(name))
    cursors = list(source_cursors(log.partitions(name)))
    found = change(log.meaning(name), config.meaning(), cursors=cursors, keyed=keyed)
    refused: WorkerError | None = None
    try:
        refuse_changed(name, found)
        if parts is not None:
            compatibility_check(parts.output, config.schema_compatibility)(log.schemas(name))
    except WorkerError as error:
        refused = error
    return Finding(f"{log}, commit {row.seq}", refused)
