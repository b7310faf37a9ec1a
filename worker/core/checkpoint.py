"""A chain as a whole at one of its commits: what a state is rebuilt from. Pure.

A checkpoint stands beside the output. It makes the commit records up to its commit unnecessary,
and what was remembered by difference since the first commit is said at once in it. Keys and tokens
are joined, so that a million of them are neither a million objects nor a million strings.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Final

import msgspec

from worker.core.found import Found, Standing
from worker.core.identities import IDENTITY_BYTES
from worker.core.model import BoundaryKey, Root, SchemaRow

VERSION: Final = 1
_GZIP: Final = 31
"""What zlib calls a window with the header and the checksum of gzip."""


class KeptPartition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A partition, with all that it remembers.

    Attributes:
        seq: the commit that last moved it; 0 when none did, or an operator since then.
        cursor: as it is stored.
        memory: sum over what it remembers (`worker.core.memory_sum`); empty where no commit has
            said it yet.
        boundary: its boundary keys: each value once, with the identities at it joined.
        tokens: its tokens, joined.
        found, standings: what it has brought for lists that other pipelines read.
    """

    partition: str
    seq: int
    cursor: str
    memory: str = ""
    boundary: tuple[tuple[int | str, bytes], ...] = ()
    tokens: bytes = b""
    found: tuple[Found, ...] = ()
    standings: tuple[Standing, ...] = ()

    def boundary_keys(self) -> Iterator[BoundaryKey]:
        """The boundary keys one by one."""
        return ((value, key) for value, keys in self.boundary for key in _parts(keys))

    def token_list(self) -> Iterator[bytes]:
        """The tokens one by one."""
        return _parts(self.tokens)


PURGED: Final = "purged"
EXPIRED: Final = "expired"
LOST: Final = "lost"


class GoneFile(msgspec.Struct, frozen=True):
    """A committed file that is known to be gone.

    Attributes:
        final: its name below its root.
        why: PURGED, EXPIRED or LOST.
    """

    kind: str
    final: str
    why: str


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A chain at a commit, and what its pipeline has besides.

    Attributes:
        seq, digest: of the commit.
        epoch: the highest that the log had given.
        published: all commits up to this one were known to be published.
        pruned: commits up to this one need not have a record or a row.
        state: id of the state.
        meaning: the fingerprint that the cursors of the pipeline rest on.
        accepted: other lineages of the pipeline whose files may stay in the output.
        owners: nonces of the owners of the chain, the oldest first.
        lists: what is found in its records -> the commit after which it is looked for.
    """

    pipeline: str
    shard: int
    lineage: str
    seq: int
    digest: str
    epoch: int
    published: int
    pruned: int = 0
    state: str = ""
    meaning: dict[str, str] = {}
    accepted: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    roots: dict[str, Root] = {}
    schemas: tuple[SchemaRow, ...] = ()
    gone: tuple[GoneFile, ...] = ()
    lists: dict[str, int] = {}
    partitions: tuple[KeptPartition, ...] = ()
    v: int = VERSION


def joined_keys(keys: Iterable[BoundaryKey]) -> tuple[tuple[int | str, bytes], ...]:
    """Boundary keys as a checkpoint has them. They come in the order of their values."""
    return tuple(
        (value, b"".join(key for _, key in group)) for value, group in groupby(keys, itemgetter(0))
    )


def encoded(checkpoint: Checkpoint) -> bytes:
    """The checkpoint as a file has it: JSON, compressed by gzip."""
    packer = zlib.compressobj(level=1, wbits=_GZIP)
    return packer.compress(msgspec.json.encode(checkpoint)) + packer.flush()


def decoded(data: bytes) -> Checkpoint | None:
    """The checkpoint in a file; None where it is damaged, or of a newer program."""
    try:
        found = msgspec.json.decode(zlib.decompress(data, wbits=_GZIP), type=Checkpoint)
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if found.v == VERSION else None


def gone_files(gone: Mapping[tuple[str, str], str]) -> tuple[GoneFile, ...]:
    """What `CommitHistory.gone` says, in order."""
    return tuple(GoneFile(kind, final, why) for (kind, final), why in sorted(gone.items()))


def _parts(joined: bytes) -> Iterator[bytes]:
    return (joined[at : at + IDENTITY_BYTES] for at in range(0, len(joined), IDENTITY_BYTES))
