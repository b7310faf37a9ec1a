"""Whether an output and a state are of the same age, as the records of commits tell. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection

from worker.core.digest import record_head
from worker.core.errors import ConfigError, OutputOlder, StateOlder, Unproven
from worker.core.model import CommitRow, StagedFile


def is_of(record: bytes | None, commit: CommitRow) -> bool:
    """Whether this is the record of the commit."""
    head = None if record is None else record_head(record)
    return head is not None and head.is_of(commit)


def is_leftover(seq: int, newest: int, record: bytes | None) -> bool:
    """Whether the newest record is the one that a state of an older format could leave without a
    commit, when the last commit is `seq`.
    """
    head = None if record is None else record_head(record)
    return newest == seq + 1 and (head is None or not head.digest)


def refuse_other_age(
    pipeline: str,
    last: CommitRow | None,
    newest: int,
    record: Callable[[int], bytes | None],
) -> None:
    """Raises StateOlder and OutputOlder for an output that is not the one of this state.

    Args:
        last: the last commit of the state.
        newest: number of the newest commit that the output proves, leftovers aside.
        record: what the output has of a commit.
    """
    seq = 0 if last is None else last.seq
    if newest > seq:
        raise StateOlder(
            f"the output has commit {newest} of pipeline {pipeline}, the state ends at {seq}:"
            " the state is older than the output, or a copy of it goes on",
            remedy="bring the newest state back, or stop the other instance;"
            " `worker state rebuild CONFIG` makes a state from the output",
        )
    if last is None:
        return
    found = record(seq)
    if not is_of(found, last):
        what = "has no record of" if found is None else "has another record of"
        raise OutputOlder(
            f"the output {what} commit {seq} of pipeline {pipeline}, which is the last one of the"
            " state",
            remedy="bring back the output that belongs to this state, or the state that belongs"
            f" to this output; `worker state adopt CONFIG {pipeline} --root` says that this output"
            f" is right and names what is lost, `worker state reset CONFIG --pipeline {pipeline}`"
            " reads everything again",
        )


def refuse_unknown(
    place: str, pipeline: str, lineages: Collection[str], known: Collection[str]
) -> None:
    """Raises ConfigError for an output that holds lineages of a pipeline that nobody knows."""
    unknown = sorted({*lineages} - {*known})
    if unknown:
        raise ConfigError(
            f"{place} holds files of pipeline {pipeline!r} that this state knows"
            f" nothing of (lineage {', '.join(unknown)})",
            remedy="bring its state back, or make it from the output: `worker state rebuild"
            " CONFIG`; or say that they stay and everything is read and written again:"
            f" `worker state reset CONFIG --pipeline {pipeline}`",
        )


def unproven(seq: int, file: StagedFile, root: str, final: str, pipeline: str) -> Unproven:
    """What a file of a commit means that is nowhere, though nobody has published it for sure.

    Args:
        root: where its root is now.
        final: where it would be published.
    """
    return Unproven(
        f"{file.final} of commit {seq} is neither in staging nor in {root}: somebody took it away"
        " before it was known to be published",
        where=final,
        remedy=f"put it back; or say that it is given up: `worker state adopt CONFIG {pipeline}"
        " --root`; or read and write everything again: `worker state reset CONFIG --pipeline"
        f" {pipeline}`. If consumers take files as soon as they are published, set"
        " sink.files_are_taken, so that this is expected from the next commit on",
    )
