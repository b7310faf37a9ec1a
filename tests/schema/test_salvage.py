"""`salvage`: whatever happens to a file, the blocks before the damage are saved, all of them and
nothing else."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schema.damage import CONTAINER_SCHEMA, ROWS_A_BLOCK, SYNC, blocks

from worker.schema import CorruptContainer
from worker.schema.codecs import CODECS
from worker.schema.container import MAGIC, Salvaged, file_header, read_records, salvage

ROWS = [number * 7 - 900 for number in range(3 * ROWS_A_BLOCK + 20)]


class Parts:
    """A file of one codec, and the offsets of its parts: the end of the header, then of each
    block."""

    def __init__(self, codec: str) -> None:
        self.header = file_header(CONTAINER_SCHEMA, codec, {"user.key": b"v"}, SYNC)
        self.blocks = blocks(codec, ROWS)
        self.bytes = self.header + b"".join(self.blocks)
        self.ends = [len(self.header)]
        for block in self.blocks:
            self.ends.append(self.ends[-1] + len(block))


FILES = {codec: Parts(codec) for codec in CODECS}


def saved(file: bytes) -> tuple[Salvaged, bytes]:
    target = io.BytesIO()
    return salvage(io.BytesIO(file), target), target.getvalue()


def expect(file: bytes, parts: Parts, whole: int, *, damaged: bool = True) -> None:
    """The first `whole` blocks are saved."""
    found, copy = saved(file)
    rows = [row["a"] for row in read_records(io.BytesIO(copy))]
    assert copy == parts.bytes[: parts.ends[whole]]
    assert rows == ROWS[: whole * ROWS_A_BLOCK]
    assert (found.blocks, found.records, found.good_bytes) == (whole, len(rows), parts.ends[whole])
    assert (found.damage is not None) is damaged
    if found.damage is not None:
        assert (found.damage.block, found.damage.offset) == (whole + 1, parts.ends[whole])


@pytest.mark.parametrize("codec", FILES)
def test_a_file_cut_anywhere_gives_exactly_the_blocks_before(codec: str) -> None:
    parts = FILES[codec]
    for size in range(len(parts.bytes) + 1):
        if size < parts.ends[0]:
            with pytest.raises(CorruptContainer) as refused:
                saved(parts.bytes[:size])
            assert refused.value.block == 0
        else:
            whole = sum(end <= size for end in parts.ends) - 1
            expect(parts.bytes[:size], parts, whole, damaged=size not in parts.ends)


@pytest.mark.parametrize("codec", FILES)
@pytest.mark.parametrize("block", range(4))
def test_a_wrong_sync_marker_ends_the_good_part(codec: str, block: int) -> None:
    parts = FILES[codec]
    for byte in range(1, 17):
        broken = bytearray(parts.bytes)
        broken[parts.ends[block + 1] - byte] ^= 0x01
        expect(bytes(broken), parts, block)


@pytest.mark.parametrize("codec", ["snappy", "zstandard", "bzip2", "xz"])
def test_a_block_damaged_in_the_middle_ends_the_good_part(codec: str) -> None:
    parts = FILES[codec]
    broken = bytearray(parts.bytes)
    broken[(parts.ends[1] + parts.ends[2]) // 2] ^= 0xFF
    expect(bytes(broken), parts, 1)


@given(st.sampled_from(sorted(FILES)), st.integers(0, 3), st.data())
def test_no_change_in_a_block_touches_those_before(codec: str, block: int, data: Any) -> None:
    """Codecs without a checksum may accept changed data; then the rows are changed, and the bytes
    are not fewer."""
    parts = FILES[codec]
    broken = bytearray(parts.bytes)
    at = data.draw(st.integers(parts.ends[block], parts.ends[block + 1] - 1))
    broken[at] ^= data.draw(st.integers(1, 255))
    found, copy = saved(bytes(broken))
    assert found.blocks >= block and copy == bytes(broken)[: found.good_bytes]
    assert [row["a"] for row in read_records(io.BytesIO(copy))][: block * ROWS_A_BLOCK] == ROWS[
        : block * ROWS_A_BLOCK
    ]


def test_a_block_of_good_bytes_and_bad_records_is_not_saved() -> None:
    parts = FILES["null"]
    two = bytearray(parts.blocks[1])
    two[4:7] = b"\xff\xff\xff"  # a long runs into the next one: the count is short
    expect(parts.header + parts.blocks[0] + bytes(two) + parts.blocks[2], parts, 1)


def test_bytes_before_the_file_are_left_alone_and_nothing_after_the_damage_is_saved() -> None:
    parts = FILES["deflate"]
    file, target = io.BytesIO(b"before" + parts.bytes + b"\x02"), io.BytesIO()
    file.seek(6)
    found = salvage(file, target)
    assert target.getvalue() == parts.bytes and found.records == len(ROWS)
    assert found.damage is not None


def test_a_damaged_header_saves_nothing() -> None:
    target = io.BytesIO()
    with pytest.raises(CorruptContainer):
        salvage(io.BytesIO(MAGIC + b"\xff" * 40), target)
    assert target.getvalue() == b""
