"""The state that is there, as `check` looks at it: what `run` would refuse because of it.

It is only looked at: no lock is taken, and nothing is written, whoever has it open.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace

from worker.core.cursor import Cursor
from worker.core.errors import SinkUnavailable, StateAbsent, StateError, WorkerError
from worker.core.meaning import change, refuse_changed, source_cursors
from worker.core.model import REPLAYED
from worker.core.ports import CommitHistory
from worker.paging.resume import refuse_unfit
from worker.paging.spec import PagingSpec
from worker.settings import PipelineSettings, Settings
from worker.wiring.compatibility_check import compatibility_check
from worker.wiring.logs import open_log
from worker.wiring.parts import Parts


@dataclass(frozen=True, slots=True)
class StateSeen:
    """What the state says to a pipeline.

    Attributes:
        state: which state was read, for people.
        refused: what `run` would end with; None where it would go on.
    """

    state: str
    refused: WorkerError | None = None


class OpenState:
    """The state of a config, open for looking.

    Attributes:
        absent: there is none yet.
    """

    absent = False

    def __init__(self, log: CommitHistory) -> None:
        self._log = log
        self._rows = {row.pipeline: row for row in log.chains()}

    def look(self, name: str, config: PipelineSettings, parts: Parts | None) -> StateSeen:
        """What the state says to a pipeline. `parts`: None while its schemas are not known."""
        if (row := self._rows.get(name)) is None:
            return StateSeen(f"{self._log}, nothing of this pipeline yet")
        state = f"{self._log}, commit {row.seq}"
        try:
            if config.enabled:
                _refuse(self._log, name, config, parts)
        except WorkerError as error:
            return StateSeen(state, error)
        return StateSeen(state)


class UnreadState:
    """A state that cannot be looked at, because there is none or because of what is wrong with it.

    Attributes:
        absent: there is none yet.
    """

    def __init__(self, error: StateError | SinkUnavailable) -> None:
        self._error = error
        self.absent = isinstance(error, StateAbsent)

    def look(self, name: str, config: PipelineSettings, parts: Parts | None) -> StateSeen:
        """See OpenState."""
        refused = config.enabled and not self.absent
        return StateSeen(self._error.message, self._error if refused else None)


LiveState = OpenState | UnreadState


@contextmanager
def live_state(settings: Settings) -> Iterator[LiveState]:
    """The state of a config as it is. That it cannot be read is a finding, and no error."""
    with ExitStack() as stack:
        state: LiveState
        try:
            log = stack.enter_context(closing(open_log(settings, read_only=True)))
            state = OpenState(log)
        except (StateError, SinkUnavailable) as error:
            state = UnreadState(error)
        yield state


def _refuse(log: CommitHistory, name: str, config: PipelineSettings, parts: Parts | None) -> None:
    """Raises what a run would end with, in its order."""
    keyed = any(partition != REPLAYED for partition in log.remembered(name))
    cursors = source_cursors(log.partitions(name)).values()
    found = change(log.meaning(name), config.meaning(), cursors=cursors, keyed=keyed)
    refuse_changed(name, found)
    if parts is not None:
        compatibility_check(parts.output, config.schema_compatibility)(log.schemas(name))
        _refuse_unfit(log, name, config, parts)


def _refuse_unfit(log: CommitHistory, name: str, config: PipelineSettings, parts: Parts) -> None:
    """Raises StateError for a cursor that its source cannot resume at."""
    source, keys = config.source, config.source.pagination.windows
    spec = PagingSpec(style=parts.style)
    if source.incremental is not None:
        incremental = source.incremental.spec(source.bound_sent)
        windows = None if keys is None else keys.plan(incremental.format)
        spec = replace(spec, incremental=incremental, windows=windows)
    for row in log.partitions(name):
        if row.partition in parts.partitions:
            refuse_unfit(spec, Cursor.from_json(row.cursor), row.partition)
