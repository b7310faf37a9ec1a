"""A state that is made from its outputs, in place of one that is lost, damaged or older."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from worker.core.errors import ConfigError, SinkUnavailable, StateError
from worker.core.events import Emit
from worker.runtime.rebuild import Found, Place, chains_of
from worker.settings import Settings
from worker.wiring.known_roots import accept_outputs
from worker.wiring.locked_outputs import locked_outputs
from worker.wiring.logs import open_log, put_aside
from worker.wiring.outputs import commit_records, output_roots


def found_chains(settings: Settings) -> list[Found]:
    """What the outputs of all pipelines of a config prove.

    Raises StateError where something is missing, and ConfigError where the state that is there is
    newer than its output.
    """
    found = [each for name in settings.pipelines for each in chains_of(_place(settings, name))]
    if not found:
        raise ConfigError(
            "no output of this config has a commit",
            remedy="check sink.path and the working directory, and bring back `.worker`, which"
            " stands there; where nothing was ever committed, `worker run` begins anew",
        )
    _refuse_newer(settings, found)
    return found


def absent(settings: Settings, found: Sequence[Found]) -> dict[str, str]:
    """The pipelines that nothing was found of, and where their outputs would be: they begin anew,
    or are refused where something of them is left.
    """
    there = {each.chain.pipeline for each in found}
    return {
        name: str(output_roots(settings, name)[0])
        for name in settings.pipelines
        if name not in there
    }


def rebuild(settings: Settings, found: Sequence[Found], emit: Emit) -> Path | None:
    """Makes the state, and returns the name that the one before it has got. The state must be
    locked.

    Raises RootBusy while an instance runs over the state that was lost, or over the original of the
    copy that is there. Its id is known from a checkpoint, or from that copy; where there is
    neither, the fence decides.
    """
    state = next((each.chain.state for each in found if each.chain.state), "") or _id_of(settings)
    with ExitStack() as stack:
        for pipeline in {each.chain.pipeline for each in found} if state else ():
            stack.enter_context(locked_outputs(settings, pipeline, state, emit))
        for each in found:
            each.prove()
        aside = put_aside(settings)
        with closing(open_log(settings, read_only=False)) as log:
            log.restore(state, [(each.chain, each.rows()) for each in found])
            for pipeline in {each.chain.pipeline for each in found}:
                accept_outputs(log, settings, pipeline)
    return aside


def _id_of(settings: Settings) -> str:
    """The id of the state that is there; empty where none can be read."""
    try:
        with closing(open_log(settings, read_only=True)) as log:
            return log.state_id()
    except (StateError, SinkUnavailable):
        return ""


def _place(settings: Settings, name: str) -> Place:
    records, letters = output_roots(settings, name)
    return Place(
        pipeline=name,
        records={
            lineage: commit_records(settings, name, lineage) for lineage in records.lineages(name)
        },
        roots={root.kind: root for root in (records, letters)},
        files_are_taken=settings.pipelines[name].sink.files_are_taken,
    )


def _refuse_newer(settings: Settings, found: Sequence[Found]) -> None:
    """A state that can be read and has commits that its output lacks is not rebuilt: it would go
    back.
    """
    try:
        with closing(open_log(settings, read_only=True)) as log:
            known = {row.lineage: row.seq for row in log.chains()}
    except (StateError, SinkUnavailable):
        return
    for chain in (each.chain for each in found):
        if known.get(chain.lineage, 0) > chain.seq:
            raise ConfigError(
                f"the state has commit {known[chain.lineage]} of pipeline {chain.pipeline}, its"
                f" output ends at {chain.seq}: the state is the newer one, and nothing is to be"
                " rebuilt",
                remedy="`worker run` goes on with it, or says what the output lacks",
            )
