"""The published files of a pipeline that is read anew: which of them are its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.core.model import ChainRow
from worker.core.names import commit_of
from worker.core.ports import CommitHistory, OutputRoot


@dataclass(frozen=True, slots=True)
class Removable:
    """Files of a root that commits have made.

    Attributes:
        others: files under such names that no commit names. They stay.
    """

    root: OutputRoot
    places: tuple[str, ...]
    others: tuple[str, ...]


def removable(
    log: CommitHistory, pipeline: str, roots: Sequence[OutputRoot], lineages: Sequence[str]
) -> list[Removable]:
    """The files of all lineages of a pipeline that stand in its outputs.

    What consumers have moved elsewhere is not found, and is theirs.

    Args:
        lineages: those that have left something in the outputs.
    """
    chains = {row.lineage: row for row in log.chains(pipeline)}
    named = _named(log, list(chains.values()), roots)
    every = sorted({*lineages, *chains})
    return [_of_root(root, pipeline, every, chains, named) for root in roots]


def _named(log: CommitHistory, chains: Sequence[ChainRow], roots: Sequence[OutputRoot]) -> set[str]:
    """The places of all files that the log names."""
    by_kind = {root.kind: root for root in roots}
    return {
        by_kind[file.kind].place(file)
        for chain in chains
        for commit in log.commits(chain.pipeline, shard=chain.shard)
        for file in commit.files
    }


def _of_root(
    root: OutputRoot,
    pipeline: str,
    lineages: Sequence[str],
    chains: dict[str, ChainRow],
    named: set[str],
) -> Removable:
    ours: list[str] = []
    others: list[str] = []
    for lineage in lineages:
        for place in root.listing(pipeline, lineage):
            seq, chain = commit_of(place, pipeline, lineage), chains.get(lineage)
            # of a lineage that was reset, and of commits that were forgotten, only names are left
            known = seq is not None and (chain is None or seq <= chain.pruned)
            (ours if known or place in named else others).append(place)
    return Removable(root, tuple(ours), tuple(others))


def remove(found: Sequence[Removable], pipeline: str, lineages: Sequence[str]) -> None:
    """Deletes the files, and then what the lineages have left beside them."""
    for each in found:
        for place in each.places:
            each.root.remove(place)
    for lineage in lineages:
        for each in found:
            each.root.forget(pipeline, lineage)
