"""The state that is there, as `check` looks at it: what `run` would refuse because of it.

It is only looked at: no lock is taken, and nothing is written, whoever has it open.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace

from worker.core.cursor import Cursor
from worker.core.errors import SinkUnavailable, StateAbsent, StateError, WorkerError
from worker.core.matching import refuse_unknown
from worker.core.meaning import change, refuse_changed, source_cursors
from worker.core.model import REPLAYED
from worker.core.ports import CommitHistory
from worker.paging.resume import refuse_unfit
from worker.paging.spec import PagingSpec
from worker.runtime.roster import refuse_incomplete
from worker.settings import PipelineSettings, Settings
from worker.wiring.children import News, roster_of
from worker.wiring.compatibility_check import compatibility_check
from worker.wiring.known_roots import outputs_seen, refuse_renamed
from worker.wiring.logs import open_log
from worker.wiring.outputs import lineages_at, output_roots
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

    def __init__(self, log: CommitHistory, settings: Settings) -> None:
        self._log, self._settings = log, settings
        self._rows = {row.pipeline: row for row in log.chains()}

    def look(self, name: str, config: PipelineSettings, parts: Parts | None) -> StateSeen:
        """What the state says to a pipeline. `parts`: None while its schemas are not known."""
        row = self._rows.get(name)
        seen = "nothing of this pipeline yet" if row is None else f"commit {row.seq}"
        state = f"{self._log}, {seen}"
        try:
            if config.enabled:
                _refuse(self._log, name, config, parts)
                _refuse_list(self._log, self._settings, name)
                refuse_renamed(self._settings, name, self._log)
                outputs = outputs_seen(self._log, self._settings, name)
                outputs.refuse([*self._log.lineages(name)])
                if not config.sink.files_are_taken:
                    outputs.refuse_unproven()
        except WorkerError as error:
            return StateSeen(state, error)
        return StateSeen(state)


class UnreadState:
    """A state that cannot be looked at, because there is none or because of what is wrong with it.

    Attributes:
        absent: there is none yet.
    """

    def __init__(self, error: StateError | SinkUnavailable, settings: Settings) -> None:
        self._error, self._settings = error, settings
        self.absent = isinstance(error, StateAbsent)

    def look(self, name: str, config: PipelineSettings, parts: Parts | None) -> StateSeen:
        """See OpenState."""
        refused: WorkerError | None = None
        if config.enabled:
            refused = self._without_state(name) if self.absent else self._error
        return StateSeen(self._error.message, refused)

    def _without_state(self, name: str) -> WorkerError | None:
        """What a run would end with that begins with an empty state."""
        try:
            for root in output_roots(self._settings, name):
                refuse_unknown(str(root), name, lineages_at(root, name), ())
        except WorkerError as error:
            return error
        return None


LiveState = OpenState | UnreadState


@contextmanager
def live_state(settings: Settings) -> Iterator[LiveState]:
    """The state of a config as it is. That it cannot be read is a finding, and no error."""
    with ExitStack() as stack:
        state: LiveState
        try:
            log = stack.enter_context(closing(open_log(settings, read_only=True)))
            state = OpenState(log, settings)
        except (StateError, SinkUnavailable) as error:
            state = UnreadState(error, settings)
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


def _refuse_list(log: CommitHistory, settings: Settings, name: str) -> None:
    """Raises ListIncomplete for partitions that would be found in a part of the records only."""
    if (spec := roster_of(settings, name, News())) is not None:
        refuse_incomplete(spec, log)


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
