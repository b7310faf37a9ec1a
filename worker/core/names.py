"""The names of published files: `<pipeline>-<lineage>-<seq>-<part>.<ext>` below their route. Pure.

A lineage is random, so nobody else gives such a name, and the number in it says which commit made
the file, also when the commit log has long forgotten it.
"""

from __future__ import annotations

import re


def commit_of(place: str, pipeline: str, lineage: str) -> int | None:
    """Number of the commit that made a file of this lineage; None for a file that it did not make.

    Args:
        place: a path or a URL.
    """
    name = place.replace("\\", "/").rpartition("/")[2]
    prefix = f"{pipeline}-{lineage}-"
    found = re.fullmatch(r"(\d{12,})-\d{4,}\.\w+", name.removeprefix(prefix))
    return int(found[1]) if found and name.startswith(prefix) else None


def lineage_of(place: str, pipeline: str) -> str | None:
    """The lineage of the pipeline that made a file; None for a file that the pipeline did not make.

    Args:
        place: as for `commit_of`.
    """
    name = place.replace("\\", "/").rpartition("/")[2]
    lineage = name.removeprefix(f"{pipeline}-")[:16]
    is_one = re.fullmatch(r"[0-9a-f]{16}", lineage) is not None
    return lineage if is_one and commit_of(name, pipeline, lineage) is not None else None
