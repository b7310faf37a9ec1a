"""Deflate, the default of Avro files: one raw stream (RFC 1951) from either of two libraries."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zlib
from collections.abc import Callable

import avro.datafile
import avro.io
import fastavro
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.schema import codecs
from worker.schema.binary import varint
from worker.schema.container import file_header

SCHEMA = '{"type": "record", "name": "Line", "fields": [{"name": "text", "type": "string"}]}'
SYNC = bytes(range(16))
BLOCKED = (
    "import sys; sys.modules['isal'] = None\n"
    "from worker.schema import codecs\n"
    "sys.stdout.buffer.write(codecs.compress(sys.stdin.buffer.read(), 'deflate'))\n"
)

each_way = pytest.mark.parametrize("deflate", [codecs._deflate_by_isal, codecs._deflate_by_zlib])
Deflate = Callable[[bytes], bytes]
blocks = st.one_of(
    st.binary(max_size=3_000),
    st.builds(lambda part, times: part * times, st.binary(min_size=1, max_size=40), st.integers(0, 9_000)),
)  # fmt: skip


@each_way
@given(blocks)
def test_a_block_is_one_raw_stream_that_zlib_and_we_inflate(deflate: Deflate, data: bytes) -> None:
    packed = deflate(data)
    stream = zlib.decompressobj(wbits=-15)
    assert stream.decompress(packed) == data
    assert stream.eof and not stream.unused_data
    assert codecs.inflate(packed, "deflate", len(data)) == data


@each_way
def test_what_cannot_be_compressed_hardly_grows(deflate: Deflate) -> None:
    data = os.urandom(1024 * 1024)
    packed = deflate(data)
    assert len(packed) < len(data) * 1.001
    assert zlib.decompress(packed, wbits=-15) == data


@each_way
def test_every_reader_of_ours_reads_files_of_either(deflate: Deflate) -> None:
    texts = [f"line {number % 7} of {number}" for number in range(5_000)]
    encoded = [text.encode() for text in texts]
    datums = b"".join(varint(len(each)) + each for each in encoded)
    packed = deflate(datums)
    file = (
        file_header(SCHEMA, "deflate", {}, SYNC)
        + varint(len(texts)) + varint(len(packed)) + packed + SYNC
    )  # fmt: skip
    assert [each["text"] for each in fastavro.reader(io.BytesIO(file))] == texts
    apache = avro.datafile.DataFileReader(io.BytesIO(file), avro.io.DatumReader())
    assert [each["text"] for each in apache] == texts
    assert pl.read_avro(io.BytesIO(file))["text"].to_list() == texts


def test_a_machine_without_isal_deflates_by_zlib() -> None:
    data = b"a line that comes again\n" * 4_000
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED], input=data, capture_output=True, check=True
    )
    assert done.stdout == codecs._deflate_by_zlib(data)
    assert codecs.compress(data, "deflate") == codecs._deflate_by_isal(data)
    assert zlib.decompress(done.stdout, wbits=-15) == data
