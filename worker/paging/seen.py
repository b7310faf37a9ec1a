"""The records of a page held against those that the pass, or its window, has brought before. Pure.

Pages of numbered styles have no token that could repeat, and a source that changes moves records
from one page to another: what came twice is seen in the records alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from operator import gt

import msgspec
from msgspec import structs

from worker.core.errors import KeyNotUnique
from worker.core.identities import IDENTITY_BYTES, digest16
from worker.core.model import Facts
from worker.paging.duplicates import Known
from worker.paging.marks import Comparable
from worker.paging.memory import KEY_BYTES, PassMemory
from worker.paging.spec import PagingSpec

_CONTENT_BYTES = IDENTITY_BYTES - KEY_BYTES


class Seen(msgspec.Struct, frozen=True):
    """What the records of a page are to their pass.

    Attributes:
        distinct: how many of them a total counts.
        new: whether any of them did not come before.
        repeated: places of records that came before as they are.
        changed: how many came before with other contents.
        entries: what to remember of them.
        page: the entries of all of them; None where records are not compared.
    """

    distinct: int
    new: bool
    repeated: frozenset[int] = frozenset()
    changed: int = 0
    entries: tuple[bytes, ...] = ()
    page: Sequence[bytes] | None = None

    def listed(self, facts: Facts) -> int:
        """How many of what the source lists a total counts: of items that have several records
        those that did not come before with all of them."""
        if facts.item_ends is None:
            return self.distinct
        if self.distinct == facts.count:
            return facts.listed
        places = (range(start, end) for start, end in pairwise((0, *facts.item_ends)))
        return sum(not each or not self.repeated.issuperset(each) for each in places)

    @property
    def digest(self) -> bytes:
        """One hash of all of them, in whichever order they come; few passes ask for it."""
        return b"" if self.page is None else digest16(b"".join(sorted(self.page)))


def uncompared(facts: Facts) -> Seen:
    """A page whose records need not be compared."""
    return Seen(distinct=facts.count, new=facts.count > 0)


def compared(
    facts: Facts,
    known: Known,
    memory: PassMemory,
    spec: PagingSpec,
    *,
    begin: int,
    counts: bool,
    where: str,
) -> Seen:
    """The page held against its pass.

    Args:
        begin: the records before this place belong to the page before.
        counts: the records of the pass are still remembered, each of them.

    Raises:
        KeyNotUnique: the page has different records with one key, where no incremental value tells
            them apart.
    """
    entries = _entries(facts, known.values, spec)[begin:]
    if not counts:
        return _as_a_page(entries, memory)
    if _are_new(entries, memory):
        return Seen(len(entries), new=bool(entries), entries=tuple(entries), page=entries)
    if spec.key and not spec.by_value:
        _refuse_ambiguous(entries, spec, where)
    return _one_by_one(entries, memory, spec, begin)


def _are_new(entries: Sequence[bytes], memory: PassMemory) -> bool:
    """Whether neither the records nor their keys came before, in the pass or on the page."""
    keys = {entry[:KEY_BYTES] for entry in entries}
    return len(keys) == len(entries) and memory.knows_none(keys)


def _one_by_one(entries: Sequence[bytes], memory: PassMemory, spec: PagingSpec, begin: int) -> Seen:
    """A page of which some records may have come before."""
    keyed = bool(spec.key)
    came, key_came = _came(entries, memory)
    again = key_came if keyed else came if spec.by_value else [False] * len(came)
    told_by = key_came if keyed and not spec.by_value else came
    return Seen(
        distinct=again.count(False),
        new=False in told_by,
        repeated=frozenset(index for index, each in enumerate(came, begin) if each),
        changed=sum(map(gt, key_came, came)) if keyed else 0,
        entries=tuple(set(entries) - memory.hashes),
        page=entries,
    )


def _as_a_page(entries: Sequence[bytes], memory: PassMemory) -> Seen:
    """A page that is held against whole pages: its records are no longer remembered."""
    seen = Seen(distinct=len(entries), new=False, page=entries)
    if not entries:
        return seen
    digest = seen.digest
    return structs.replace(seen, new=digest not in memory, entries=(digest,))


def _came(entries: Sequence[bytes], memory: PassMemory) -> tuple[list[bool], list[bool]]:
    """Whether each entry came before, in the pass or on the page, and whether its key did."""
    here: set[bytes] = set()
    keys_here: set[bytes] = set()
    came, key_came = [], []
    for entry in entries:
        key = entry[:KEY_BYTES]
        came.append(entry in memory or entry in here)
        key_came.append(memory.knows_key(entry) or key in keys_here)
        here.add(entry)
        keys_here.add(key)
    return came, key_came


def _entries(facts: Facts, values: Sequence[Comparable | None], spec: PagingSpec) -> list[bytes]:
    """The 16 bytes that are remembered of each record."""
    if not spec.by_value:
        if not spec.key:
            return list(facts.keys)
        return [
            key[:KEY_BYTES] + content[:_CONTENT_BYTES]
            for key, content in zip(facts.keys, facts.contents or facts.keys, strict=True)
        ]
    return [
        key[:KEY_BYTES] + digest16(str(value).encode())[:_CONTENT_BYTES]
        for key, value in zip(facts.keys, values, strict=True)
    ]


def _refuse_ambiguous(entries: Sequence[bytes], spec: PagingSpec, where: str) -> None:
    """Raises KeyNotUnique where one key stands for two records of the page."""
    contents: dict[bytes, bytes] = {}
    for index, entry in enumerate(entries):
        first = contents.setdefault(entry[:KEY_BYTES], entry)
        if first != entry:
            raise KeyNotUnique(
                f"record {index} and another one of its page have the same "
                f"{', '.join(spec.key)} and different contents",
                where=where,
                remedy="add to source.key what tells them apart, or take source.key out",
            )
