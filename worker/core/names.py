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
