"""What of a step of a partition is lost when it is not committed. Pure.

A pass without news leaves the partition where it was: the next one asks for the same, whether or
not the process was killed in between, and nothing is written for it. A step that brought no
records, but moved a mark, a token or a position, costs a kill only that the source is asked again:
such steps are committed together, once an hour at most.
"""

from __future__ import annotations

from worker.core.cursor import Cursor
from worker.core.model import ProgressSum


def has_moved(durable: Cursor, step: ProgressSum) -> bool:
    """Whether committing the step would change anything that the partition goes by.

    Between passes the number of the next one is no such thing. It tells the passes of a snapshot
    apart, of which none has left a record.
    """
    if step.remembers or step.ends_list:
        return True
    cursor = step.cursor
    if durable.position is None and cursor.position is None:
        cursor = cursor.evolve(pass_no=durable.pass_no)
    return cursor != durable


def ends_what_is_durable(durable: Cursor, step: ProgressSum) -> bool:
    """Whether the step ends a pass of which a part is committed, or the reading of the partition:
    another process would go on in the middle of it.
    """
    over = durable.position is not None and step.cursor.position is None
    return over or step.ends_list or step.cursor.complete != durable.complete
