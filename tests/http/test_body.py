"""Content codings: whatever was packed comes back whole, or the body is refused."""

from __future__ import annotations

import contextlib
import gzip
import time
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import BadBody, WorkerError
from worker.http.body import BodyDecoder, BodyLimits, BodyTooLarge
from worker.http.codings import PIECE_BYTES


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACK = {
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw deflate": raw_deflate,
}


def decode(
    codings: str, data: bytes, cuts: Sequence[int] = (), limits: BodyLimits | None = None
) -> bytes:
    decoder = BodyDecoder.of(codings, limits or BodyLimits())
    at, out = 0, []
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        out += decoder.feed(data[at:cut])
        at = cut
    out += decoder.finish()
    return b"".join(out)


@given(
    st.sampled_from(list(PACK)),
    st.binary(max_size=5_000),
    st.lists(st.integers(0, 10_000), max_size=5),
)
def test_a_body_comes_back_however_it_is_cut(coding: str, data: bytes, cuts: list[int]) -> None:
    assert decode(coding.removeprefix("raw "), PACK[coding](data), cuts) == data


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate"])
@pytest.mark.parametrize("beyond", [-1, 0, 1, 21, 22, 23, 24, 300])
def test_a_body_ends_also_where_its_last_bytes_are_still_to_be_inflated(
    coding: str, beyond: int
) -> None:
    """The end of a raw stream is read before the last piece of repeated bytes comes out of it."""
    data = b"a" * (PIECE_BYTES + beyond)
    limits = BodyLimits(ratio=10_000.0)
    assert decode(coding.removeprefix("raw "), PACK[coding](data), limits=limits) == data


@pytest.mark.fault(23, by="a compressed body cut at any byte")
@given(st.binary(min_size=1, max_size=2_000), st.data())
def test_any_truncation_of_a_compressed_body_is_refused(data: bytes, draw: st.DataObject) -> None:
    coding = draw.draw(st.sampled_from(["gzip", "deflate", "raw deflate"]))
    packed = PACK[coding](data)
    cut = draw.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(BadBody):
        decode(coding.removeprefix("raw "), packed[:cut])


@given(
    st.lists(st.binary(max_size=500), min_size=1, max_size=4),
    st.integers(0, 20),
    st.lists(st.integers(0, 10_000), max_size=5),
)
def test_several_gzip_members_and_padding_are_one_body(
    parts: list[bytes], padding: int, cuts: list[int]
) -> None:
    assert decode("gzip", b"".join(map(gzip.compress, parts)) + b"\0" * padding, cuts) == b"".join(
        parts
    )


@given(st.lists(st.binary(max_size=200), min_size=2, max_size=4), st.data())
def test_a_cut_in_any_member_is_refused(parts: list[bytes], draw: st.DataObject) -> None:
    packed = list(map(gzip.compress, parts))
    ends = {sum(map(len, packed[:number])) for number in range(1, len(packed) + 1)}
    whole = b"".join(packed)
    cut = draw.draw(st.integers(1, len(whole)).filter(lambda at: at not in ends))
    with pytest.raises(BadBody):
        decode("gzip", whole[:cut])


@given(st.sampled_from(["gzip", "deflate", "gzip, deflate"]), st.binary(max_size=300))
def test_any_bytes_end_in_a_body_or_in_a_named_error(coding: str, data: bytes) -> None:
    try:
        decode(coding, data)
    except WorkerError as error:
        assert isinstance(error, BadBody | BodyTooLarge)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_a_flipped_bit_never_changes_a_gzip_body(data: bytes, draw: st.DataObject) -> None:
    """The check sum is compared: what comes out is what went in, or nothing does."""
    packed = bytearray(gzip.compress(data, mtime=0))
    packed[draw.draw(st.integers(0, len(packed) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    with contextlib.suppress(BadBody):
        assert decode("gzip", bytes(packed)) == data


def test_layers_are_undone_from_the_outside() -> None:
    assert decode("deflate, gzip", gzip.compress(zlib.compress(b"data"))) == b"data"


@pytest.mark.parametrize(
    "data",
    [
        b"not gzip",
        gzip.compress(b"a" * 100, mtime=0) + b"garbage",
        gzip.compress(b"x", mtime=0)[:-8] + b"\0" * 8,
    ],
)
def test_damaged_gzip_is_refused(data: bytes) -> None:
    with pytest.raises(BadBody):
        decode("gzip", data)


@pytest.mark.parametrize("coding", ["compress", "gzip, dcz", "dcb"])
def test_a_coding_that_was_not_asked_for_is_refused(coding: str) -> None:
    """A bomb of a coding that is never decoded is no bomb."""
    with pytest.raises(BadBody, match=f"{coding.split()[-1]}.* was not asked for"):
        BodyDecoder.of(coding, BodyLimits())


@pytest.mark.fault(41, by="a gzip bomb")
def test_a_bomb_is_stopped_before_it_inflates() -> None:
    bomb = gzip.compress(b"\0" * 200_000_000)
    decoder, size = BodyDecoder.of("gzip", BodyLimits()), 0
    with pytest.raises(BodyTooLarge, match="inflates"):
        for piece in decoder.feed(bomb):
            size += len(piece)
    assert size <= 50 * 1024 * 1024


def test_a_bomb_in_an_inner_layer_is_stopped() -> None:
    """What is dropped later, like padding, is inflated first."""
    bomb = gzip.compress(gzip.compress(b"x") + b"\0" * 100_000_000)
    with pytest.raises(BodyTooLarge, match="inflates"):
        decode("gzip, gzip", bomb)


def test_many_layers_are_refused() -> None:
    with pytest.raises(BadBody, match="4 content codings"):
        BodyDecoder.of("gzip, " * 4, BodyLimits())


def test_thousands_of_empty_members_take_no_more_time_than_their_bytes() -> None:
    members = gzip.compress(b"") * 200_000
    started = time.process_time()
    assert decode("gzip", members) == b""
    assert (
        time.process_time() - started < 5.0
    )  # 0.3 s; copying all the rest for each member takes 20 s


@pytest.mark.parametrize(
    ("limits", "says"),
    [(BodyLimits(wire_bytes=10), "on the wire"), (BodyLimits(body_bytes=10), "inflated")],
)
def test_caps_name_their_setting(limits: BodyLimits, says: str) -> None:
    with pytest.raises(BodyTooLarge, match=says) as caught:
        decode("identity", b"x" * 11, limits=limits)
    assert "source.limits" in caught.value.remedy


def test_an_empty_body_needs_no_stream() -> None:
    assert decode("gzip", b"") == b""
