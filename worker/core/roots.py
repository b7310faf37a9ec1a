"""What an output root is to a state: its id says which one it is, its path only where it was seen.
Pure.

A state keeps the path and the id of each root from the first attempt on. What follows from what is
found at the configured path, and at the path that is known, is one table:

| known to the state      | at the configured path | at the known path | what follows             |
|-------------------------|------------------------|-------------------|--------------------------|
| nothing, and no commits | anything               |                   | register it              |
| nothing, but commits    | an area of the chain   |                   | adopt it                 |
|                         | anything else          |                   | refuse                   |
| the configured path     | the known root         |                   | go on                    |
|                         | anything else          |                   | pause                    |
| another path            | the known root         | anything          | it was moved             |
|                         | anything else          | the known root    | finish there, register   |
|                         |                        |                   | the one here             |
|                         | anything else          | anything else     | refuse; without commits, |
|                         |                        |                   | register the one here    |

States of formats before 4 know no ids. The area of the chain, which no other chain writes to, says
there which root it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from worker.core.errors import RootUnknown, SinkUnavailable
from worker.core.model import ChainRow, ChainState, CommitRow, Root, of_kind

HIDDEN: Final = ".worker"
"""The directory below a root that holds what is not published. No route can name it."""


def area_of(chain: ChainState | ChainRow) -> str:
    """The name below a root of the directory that holds what a chain has not published."""
    return f"{HIDDEN}/{chain.lineage}/{chain.pipeline}"


@dataclass(frozen=True, slots=True)
class Sight:
    """What is found at a path.

    Attributes:
        id: of the root; empty where there is none.
        area: the chain has left something there.
    """

    id: str = ""
    area: bool = False


class Decision(Enum):
    """What follows for an attempt."""

    GO_ON = "the root is where it was"
    MOVED = "the root has another path now"
    REGISTER = "the root is new to the state"
    ADOPT = "the root was used by a state that kept no ids"
    SWITCH = "commits are finished at the old root, then the new one is registered"
    PAUSE = "the root is not there: unmounted, or replaced"
    REFUSE = "the root is another one, and the old one cannot be found"


MISSED: Final = frozenset({Decision.PAUSE, Decision.REFUSE})
"""What is found is not the root that is known."""


def known_root(roots: Mapping[str, Root], kind: str, commits: Iterable[CommitRow]) -> Root | None:
    """The root that a state knows for a kind; without an id where nobody knows it.

    Args:
        commits: some of the chain; in states of formats before 4, and in one that was made from its
            output, they alone say where they went.
    """
    if kind in roots:
        return roots[kind]
    files = (file for commit in commits for file in of_kind(commit.files, kind))
    return next((Root(path=file.root, id=file.root_id) for file in files), None)


def known_to(chain: ChainState, kind: str) -> Root | None:
    """The root that a chain knows for a kind."""
    commits = (*chain.unpublished, *([chain.last] if chain.last is not None else ()))
    return known_root(chain.roots, kind, commits)


def decide(
    known: Root | None, configured: str, *, here: Sight, there: Sight, has_commits: bool
) -> Decision:
    """What follows from what is found.

    Args:
        configured: path of the root now.
        here: what is found at the configured path.
        there: what is found at the path that is known; nothing where that is the configured one.
    """
    if known is None:
        if not has_commits:
            return Decision.REGISTER
        return Decision.ADOPT if here.area else Decision.REFUSE
    if is_root(known, here):
        if not known.id:
            return Decision.ADOPT
        return Decision.GO_ON if known.path == configured else Decision.MOVED
    if known.path == configured:
        return Decision.PAUSE
    if is_root(known, there):
        return Decision.SWITCH
    return Decision.REFUSE if has_commits else Decision.REGISTER


def look(
    known: Root | None, configured: str, sight: Callable[[str], Sight], *, has_commits: bool
) -> tuple[Sight, Decision]:
    """What is found at the configured path, and what follows from that.

    Args:
        configured: as for `decide`.
        sight: what is found at a path; at the configured one where that is empty.
    """
    here, there = sight(""), Sight()
    if known is not None and known.path != configured:
        there = sight(known.path)
    return here, decide(known, configured, here=here, there=there, has_commits=has_commits)


def is_root(known: Root, found: Sight) -> bool:
    """Whether what is found at a path is the root that is known."""
    return found.id == known.id if known.id else found.area


def refuse(
    decision: Decision, pipeline: str, known: Root | None, configured: str, here: Sight
) -> None:
    """Raises what PAUSE and REFUSE mean: SinkUnavailable and RootUnknown; else nothing."""
    found = f"has the id {here.id}" if here.id else "has no id"
    adopt = (
        f"if this output is right as it is, `worker state adopt CONFIG {pipeline} --root` says so"
        " and names what is lost"
    )
    if decision is Decision.PAUSE:
        wanted = f"the output {known.id}" if known is not None and known.id else "its output"
        raise SinkUnavailable(
            f"{configured} {found}: it is not {wanted} of pipeline {pipeline}, which was there"
            " before; nothing is written to it",
            remedy=f"mount the output, or put it back; the pipeline resumes by itself; {adopt}",
        )
    if decision is Decision.REFUSE:
        before = "nobody knows where" if known is None else f"at {known.path}"
        raise RootUnknown(
            f"the output of pipeline {pipeline} was {before} before, and is not found there;"
            f" {configured} {found}, and is another one",
            remedy=f"bring the output back to one of the two, or set the path where it is; {adopt}",
        )
