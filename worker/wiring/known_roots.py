"""The outputs of a pipeline beside what its state knows of them, as commands see both.

Nothing is created or changed but by `adopt_roots`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice

from worker.core.checkpoint import LOST
from worker.core.errors import (
    OutputOlder,
    PipelineRenamed,
    RootUnknown,
    SinkUnavailable,
    StateError,
    Unproven,
    WorkerError,
)
from worker.core.matching import is_leftover, refuse_other_age, refuse_unknown, unproven
from worker.core.model import DEAD_LETTERS, RECORDS, ChainRow, CommitRow, Root, StagedFile, of_kind
from worker.core.ports import CommitHistory, CommitLog, FileState, OutputRoot
from worker.core.replays import replayed_to
from worker.core.roots import MISSED, Decision, Sight, known_root, look, refuse
from worker.settings import Settings
from worker.wiring.outputs import output_roots


@dataclass(frozen=True, slots=True)
class RootSeen:
    """A root as it is found.

    Attributes:
        known: what the state knows of it.
        here: what is found at its configured path.
        decision: what an attempt would do.
    """

    root: OutputRoot
    known: Root | None
    here: Sight
    decision: Decision

    @property
    def adoptable(self) -> bool:
        """Whether somebody has to say that it is right. The others go on by themselves."""
        return self.decision not in (Decision.ADOPT, Decision.SWITCH)

    @property
    def left(self) -> Root | None:
        """The root that an attempt leaves for this one; None where it leaves none."""
        return self.known if self.decision is Decision.SWITCH else None

    def refuse(self, pipeline: str) -> None:
        """Raises what an attempt would end or pause with."""
        refuse(self.decision, pipeline, self.known, str(self.root), self.here)


@dataclass(frozen=True, slots=True)
class OutputsSeen:
    """The outputs of a pipeline as they are found.

    Attributes:
        last: the last commit of the chain; None before the first.
    """

    pipeline: str
    chain: ChainRow | None
    last: CommitRow | None
    roots: tuple[RootSeen, ...]

    @property
    def records(self) -> RootSeen:
        """The output of the records, beside which those of the commits are."""
        return next(seen for seen in self.roots if seen.root.kind == RECORDS)

    def refuse(self, known_lineages: list[str]) -> None:
        """Raises what an attempt would end or pause with, in its order."""
        for seen in self.roots:
            seen.refuse(self.pipeline)
            lineages = [*seen.root.lineages(self.pipeline)]
            if seen.known is None and self.last is None:
                lineages += seen.root.published_lineages(self.pipeline)
            refuse_unknown(str(seen.root), self.pipeline, lineages, known_lineages)
        self.refuse_other_age()

    def refuse_to_prune(self) -> None:
        """Raises what an attempt would end or pause with because of where the records of commits
        are, or StateError where the next attempt has first to leave the place where they were.
        """
        if self.chain is None:
            return
        self.records.refuse(self.pipeline)
        if (left := self.records.left) is not None:
            raise StateError(
                f"pipeline {self.pipeline} is still to move its output from {left.path} to"
                f" {self.records.root}",
                remedy="let it run once: `worker run CONFIG --once`; then prune",
            )
        self.refuse_other_age()

    def refuse_unproven(self) -> None:
        """Raises Unproven where a file of the last commit is nowhere and may not be published.

        Consumers that may take it away leave a marker, which only an attempt looks at.
        """
        if self.last is None or self.last.published:
            return
        for root in (each.root for each in self.roots):
            for file in of_kind(self.last.files, root.kind):
                if root.standing(file) is FileState.GONE:
                    place = root.place(file)
                    raise unproven(self.last.seq, file, str(root), place, self.pipeline)

    def refuse_other_age(self) -> None:
        """Raises StateOlder and OutputOlder."""
        if (chain := self.chain) is None:
            return
        records = self.records
        paths = [""] if records.left is None else ["", records.left.path]

        def record(seq: int) -> bytes | None:
            found = (records.root.record(chain, seq, path) for path in paths)
            return next((each for each in found if each is not None), None)

        newest = max(records.root.newest(chain, path) for path in paths)
        if newest > chain.seq and is_leftover(chain.seq, newest, record(newest)):
            newest = chain.seq
        refuse_other_age(self.pipeline, self.last, newest, record)


def outputs_seen(log: CommitHistory, settings: Settings, pipeline: str) -> OutputsSeen:
    """Looks at the outputs of a pipeline. Raises StateError and SinkUnavailable."""
    chain = next(iter(log.chains(pipeline)), None)
    last = None
    if chain is not None and chain.seq:
        last = next(iter(log.commits(pipeline, chain.seq)), None)
    known = log.roots(pipeline)
    roots = output_roots(settings, pipeline, log.places(pipeline))
    found = tuple(_seen(root, chain, last, known) for root in roots)
    return OutputsSeen(pipeline, chain, last, found)


def _seen(
    root: OutputRoot, chain: ChainRow | None, last: CommitRow | None, roots: Mapping[str, Root]
) -> RootSeen:
    if chain is None:
        return RootSeen(root, None, Sight(), Decision.REGISTER)
    known = known_root(roots, root.kind, () if last is None else (last,))
    sight = partial(root.sight, chain)
    here, decision = look(known, str(root), sight, has_commits=last is not None)
    return RootSeen(root, known, here, decision)


def refuse_renamed(settings: Settings, pipeline: str, log: CommitHistory) -> None:
    """Raises PipelineRenamed for a pipeline that has never run, where one that the config does not
    name any more has read the same, and has written to the same output.

    Once per attempt, before anybody is fenced, and once per `check`.
    """
    chains = log.chains()
    begun = any(each.seq for each in chains if each.pipeline == pipeline)
    if begun or log.roots(pipeline):
        return
    meaning = settings.pipelines[pipeline].meaning()
    records, _ = output_roots(settings, pipeline)
    for each in chains:
        gone = each.pipeline not in settings.pipelines and each.seq > 0
        if gone and log.meaning(each.pipeline) == meaning and records.sight(each).area:
            raise PipelineRenamed(
                f"pipeline {pipeline} is new, and {each.pipeline}, which the config does not have"
                f" any more, has read the same source into {records}",
                remedy=f"give it its old name back; or say that everything is to be read and"
                f" written again under the new one: `worker state adopt CONFIG {pipeline} --root`",
            )


# -- worker state adopt --root ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RootAdoption:
    """What it means to say that the outputs of a pipeline are right as they are.

    Attributes:
        why: what an attempt would end or pause with; None where there is nothing to adopt.
        lost: committed files that are not there, by their places.
    """

    seen: OutputsSeen
    why: WorkerError | None
    lost: Mapping[str, StagedFile]


def root_adoption(log: CommitHistory, settings: Settings, pipeline: str) -> RootAdoption:
    """What `adopt_roots` would do.

    Raises StateOlder, and OutputOlder for an output that has another record of the last commit, or
    that is to be left: nothing that is said of it can make the two fit.
    """
    seen = outputs_seen(log, settings, pipeline)
    why = _refused(log, settings, seen)
    return RootAdoption(seen, why, dict(_lost(log, seen)) if why is not None else {})


def _refused(log: CommitHistory, settings: Settings, seen: OutputsSeen) -> WorkerError | None:
    try:
        refuse_renamed(settings, seen.pipeline, log)
        for each in seen.roots:
            each.refuse(seen.pipeline)
        seen.refuse_other_age()
        seen.refuse_unproven()
        _refuse_lost_letters(log, seen)
    except (SinkUnavailable, RootUnknown, PipelineRenamed, Unproven) as error:
        return error
    except OutputOlder as error:
        records = seen.records
        assert seen.chain is not None, "without commits no output is older"
        if records.adoptable and records.root.record(seen.chain, seen.chain.seq) is None:
            return error
        raise
    return None


def _refuse_lost_letters(log: CommitHistory, seen: OutputsSeen) -> None:
    """Raises SinkUnavailable where dead letters wait in an output of before that is nowhere.

    An attempt goes on without them, but nothing can be replayed any more.
    """
    waiting, given_up = replayed_to(log.partitions(seen.pipeline)) + 1, log.gone(seen.pipeline)
    (root,) = (each.root for each in seen.roots if each.root.kind == DEAD_LETTERS)
    for commit in log.commits(seen.pipeline, waiting, kind=DEAD_LETTERS):
        for file in of_kind(commit.files, DEAD_LETTERS):
            if (file.kind, file.final) not in given_up:
                next(root.lines(file), None)


def _lost(log: CommitHistory, seen: OutputsSeen) -> Iterator[tuple[str, StagedFile]]:
    for root in (each.root for each in seen.roots):
        for commit in log.commits(seen.pipeline, kind=root.kind):
            for file in of_kind(commit.files, root.kind):
                if root.standing(file) is FileState.GONE:
                    yield root.place(file), file


def adopt_roots(log: CommitLog, settings: Settings, found: RootAdoption) -> None:
    """Says to the state that the outputs are right, and lets them prove its last commit.

    What is still staged of a commit gets its final name; what is lost is given up.
    """
    seen = found.seen
    log.keep_gone(seen.pipeline, list(found.lost.values()), LOST)
    for each in seen.roots:
        _give_up_roots(log, seen, each, found.lost.values())
        if each.adoptable:
            _adopt(log, seen, each)
    if seen.chain is not None and seen.last is not None and not seen.last.published:
        _finish(log, settings, seen.chain, seen.last)


def accept_outputs(log: CommitLog, settings: Settings, pipeline: str) -> None:
    """Says to a state that was made from its outputs that these are right, where the next attempt
    would miss others: an output that lost its id, and the directory of dead letters that are lost.
    """
    seen = outputs_seen(log, settings, pipeline)
    for each in seen.roots:
        if each.decision in MISSED:
            _adopt(log, seen, each)


def _adopt(log: CommitLog, seen: OutputsSeen, found: RootSeen) -> None:
    known_id = "" if found.known is None else found.known.id
    last = seen.last if found.root.kind == RECORDS else None
    root = found.root.adopt(seen.chain, last, known_id)
    if known_id not in ("", root.id):
        log.keep_root(seen.pipeline, found.root.kind, Root(path="", id=known_id))
    log.keep_root(seen.pipeline, found.root.kind, root)


def _give_up_roots(
    log: CommitLog, seen: OutputsSeen, found: RootSeen, lost: Iterable[StagedFile]
) -> None:
    """The outputs of before that lost files were in are not looked for any more."""
    gone = {file.root_id for file in of_kind(lost, found.root.kind) if _is_away(found.root, file)}
    if not gone or found.known is None:
        return
    for root_id in sorted(gone):
        log.keep_root(seen.pipeline, found.root.kind, Root(path="", id=root_id))
    log.keep_root(seen.pipeline, found.root.kind, found.known)  # the last one is where it goes on


def _is_away(root: OutputRoot, file: StagedFile) -> bool:
    try:
        next(root.lines(file), None)
    except SinkUnavailable:
        return True
    return False


def _finish(log: CommitLog, settings: Settings, chain: ChainRow, last: CommitRow) -> None:
    for root in output_roots(settings, chain.pipeline, log.places(chain.pipeline)):
        for file in of_kind(last.files, root.kind):
            if root.standing(file) is FileState.STAGED:
                root.publish(file)
    log.mark_published(chain.lineage, last.seq)


def some(places: tuple[str, ...], most: int = 20) -> list[str]:
    """The first places, and how many more there are."""
    more = len(places) - most
    return [*islice(places, most), *([f"and {more} more"] if more > 0 else [])]
