"""Compressions beside gzip and deflate, files that are compressed by themselves, and what bodies
are written in."""

from __future__ import annotations

import bz2
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable

import brotli
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.core.errors import BadBody, WorkerError
from worker.http import codings
from worker.http.body import BodyDecoder, BodyLimits, BodyTooLarge
from worker.http.body_form import AUTO, COMPRESSIONS, BodyForm, codec_of
from worker.http.codings import accepted_codings, codings_in, zstandard
from worker.http.zip_file import only_file

try:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    from backports import zstd  # type: ignore[no-redef,unused-ignore]

LIMITS = BodyLimits(ratio=1_000_000.0)
ANY = BodyForm(frozenset(COMPRESSIONS))
TEXT = BodyForm(charset=AUTO)
PACK: dict[str, Callable[[bytes], bytes]] = {
    "br": brotli.compress,
    "zstd": zstd.compress,
    "bzip2": bz2.compress,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}
CUTS = st.lists(st.integers(0, 10_000), max_size=5)


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def decode(
    data: bytes,
    coding: str = "",
    form: BodyForm = ANY,
    *,
    kind: str = "",
    cuts: list[int] | None = None,
    limits: BodyLimits = LIMITS,
) -> bytes:
    """As the client does it."""
    decoder = BodyDecoder.of(coding, limits, form, kind)
    at, out = 0, []
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts or ()), len(data)]:
        out += decoder.feed(data[at:cut])
        at = cut
    out += decoder.finish()
    while decoder.is_zip:
        archive = b"".join(out)
        entry = only_file(archive)
        decoder = decoder.unzipping(entry)
        out = [*decoder.feed(archive[entry.start : entry.end]), *decoder.finish()]
    return b"".join(out)


@given(
    st.sampled_from(list(PACK)), st.binary(max_size=5_000), CUTS, st.text("\r\n \t\0", max_size=90)
)
def test_a_coded_body_comes_back_however_it_is_cut_and_padded(
    coding: str, data: bytes, cuts: list[int], padding: str
) -> None:
    packed = PACK[coding](data) + padding.encode()
    assert decode(packed, coding, BodyForm(), cuts=cuts) == data


@given(st.sampled_from(list(PACK)), st.binary(min_size=1, max_size=2_000), st.data())
def test_any_truncation_is_refused(coding: str, data: bytes, draw: st.DataObject) -> None:
    packed = PACK[coding](data)
    cut = draw.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(BadBody):
        decode(packed[:cut], coding, BodyForm())


@given(
    st.sampled_from(["zstd", "bzip2", "gzip"]),
    st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    CUTS,
)
def test_streams_behind_each_other_are_one_body(
    coding: str, parts: list[bytes], cuts: list[int]
) -> None:
    packed = b"\n".join(map(PACK[coding], parts))
    assert decode(packed, coding, BodyForm(), cuts=cuts) == b"".join(parts)


@pytest.mark.parametrize("coding", ["br", "deflate"])
def test_of_others_bytes_behind_the_end_are_damage(coding: str) -> None:
    with pytest.raises(BadBody):
        decode(PACK[coding](b"a") + PACK[coding](b"b"), coding, BodyForm())


@given(st.sampled_from([*PACK, "zip"]), st.binary(max_size=500))
def test_any_bytes_end_in_a_body_or_in_a_named_error(coding: str, data: bytes) -> None:
    magic = {"zip": b"PK\x03\x04", "bzip2": b"BZh91AY&SY", "zstd": b"\x28\xb5\x2f\xfd"}
    for body, name in ((data, coding), (magic.get(coding, b"") + data, "")):
        try:
            decode(body, name)
        except WorkerError as error:
            assert isinstance(error, BadBody | BodyTooLarge)


@pytest.mark.parametrize("coding", [*PACK, "zip"])
def test_a_bomb_is_stopped_before_it_inflates(coding: str) -> None:
    data = b"\0" * 50_000_000
    bomb = zipped({"a": data}) if coding == "zip" else PACK[coding](data)
    with pytest.raises(BodyTooLarge, match="inflates"):
        decode(bomb, "" if coding == "zip" else coding, limits=BodyLimits())


def test_a_body_is_never_inflated_in_pieces_of_any_size() -> None:
    for coding, pack in PACK.items():
        decoder = BodyDecoder.of(coding, LIMITS)
        pieces = [*decoder.feed(pack(b"\0" * 5_000_000)), *decoder.finish()]
        assert max(map(len, pieces)) <= codings.PIECE_BYTES


@pytest.mark.parametrize("word", ["UTF-8", "none", "identity", "binary, 8bit", "null", ""])
def test_a_word_that_is_no_coding_is_none(word: str) -> None:
    assert decode(b"[]", word) == b"[]"
    assert decode(gzip.compress(b"[]"), f"{word}, gzip") == b"[]"


def test_brotli_that_is_not_installed_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert accepted_codings() == "gzip, deflate, zstd, br"
    monkeypatch.setattr(codings, "brotli_is_there", lambda: False)
    assert "br" not in accepted_codings()
    with pytest.raises(BadBody, match="'br'") as raised:
        codings_in("br")
    assert "brotli" in raised.value.remedy


def test_a_frame_whose_window_is_over_the_memory_is_refused() -> None:
    options = {zstd.CompressionParameter.window_log: 25, zstd.CompressionParameter.checksum_flag: 1}
    compressor = zstd.ZstdCompressor(options=options)
    packed = compressor.compress(b"a" * 1000) + compressor.flush()
    assert decode(packed, "zstd") == b"a" * 1000
    with pytest.raises(BadBody, match="damaged"):
        decode(packed, "zstd", limits=BodyLimits(memory_bytes=2**24))
    assert zstandard(1).opened(b"") is not None


@given(st.sampled_from(["gzip", "zstd", "bzip2"]), st.binary(max_size=2_000), CUTS)
@example("gzip", b"", [])
def test_a_compressed_file_is_known_by_its_first_bytes(
    coding: str, data: bytes, cuts: list[int]
) -> None:
    data = b"[" + data
    twice = PACK[coding](gzip.compress(data))
    assert decode(twice, cuts=cuts) == data
    assert decode(twice, form=BodyForm(), cuts=cuts) == twice
    others = BodyForm(frozenset(COMPRESSIONS) - {coding})
    assert decode(twice, form=others, cuts=cuts) == twice


@given(st.binary(max_size=50), CUTS)
def test_a_body_that_is_not_compressed_is_as_it_is(data: bytes, cuts: list[int]) -> None:
    body = b"[" + data
    assert decode(body, cuts=cuts) == body
    assert decode(b"BZh9 is no bzip2" + data, cuts=cuts) == b"BZh9 is no bzip2" + data


@given(
    st.binary(max_size=3_000),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]),
    CUTS,
)
def test_the_file_of_a_zip_is_read(data: bytes, method: int, cuts: list[int]) -> None:
    beside = {"d/": b"", "__MACOSX/._a": b"x", "d/.DS_Store": b"y"}
    data = b"[" + data
    packed = zipped({**beside, "d/a.json": gzip.compress(data)}, method)
    assert decode(packed, cuts=cuts) == data
    assert decode(gzip.compress(packed), cuts=cuts) == data


def test_a_zip_that_was_written_as_a_stream_is_read() -> None:
    """Its sizes stand behind the data, and in the directory."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.data += bytes(data)  # type: ignore[call-overload]
            return len(bytes(data))  # type: ignore[call-overload]

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        archive.writestr("a", b"data" * 100)
    assert decode(pipe.data) == b"data" * 100


def test_a_zip_with_wide_sizes_is_read() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive, archive.open("a", "w", force_zip64=True) as file:
        file.write(b"data")
    assert decode(packed.getvalue()) == b"data"


@given(st.data())
def test_a_damaged_zip_is_refused_or_the_same(draw: st.DataObject) -> None:
    data = b"some data that is not there twice"
    packed = bytearray(zipped({"a.json": data}))
    packed[draw.draw(st.integers(4, len(packed) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    try:
        assert decode(bytes(packed)) == data
    except WorkerError as error:
        assert isinstance(error, BadBody | BodyTooLarge)


@given(st.integers(5, 100))
def test_a_zip_that_was_cut_is_refused(keep: int) -> None:
    packed = zipped({"a.json": b"x" * 200})
    with pytest.raises(BadBody, match="zip"):
        decode(packed[:keep])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds 0 files"),
        ({"d/": b""}, "holds 0 files"),
        ({str(number): b"" for number in range(7)}, r"holds 7 files: 0, 1, 2, 3, 4, \.\.\."),
        ({str(number): b"" for number in range(1_001)}, "holds 1001 files, one is read"),
    ],
)
def test_a_zip_holds_one_file(files: dict[str, bytes], words: str) -> None:
    with pytest.raises(BadBody, match=words):
        decode(zipped(files))


@pytest.mark.parametrize(("at", "value", "words"), [(8, 1, "encrypted"), (10, 9, "method 9")])
def test_a_zip_that_cannot_be_undone_is_refused(at: int, value: int, words: str) -> None:
    packed = bytearray(zipped({"a": b"data"}))
    packed[packed.rfind(b"PK\x01\x02") + at] = value
    with pytest.raises(BadBody, match=words):
        decode(bytes(packed))


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\ufeff"), min_size=1),
    st.sampled_from(["utf-16", "utf-32", "utf-8", "utf-16-le", "utf-16-be"]),
    CUTS,
)
def test_text_of_any_character_set_becomes_utf_8(text: str, codec: str, cuts: list[int]) -> None:
    body = b"[" if codec == "utf-8" else b""
    body += text.encode(codec)
    told = decode(body, form=TEXT, kind=f'text/plain; a=b; Charset="{codec.upper()}"', cuts=cuts)
    assert told.decode().removeprefix("[") == text


@pytest.mark.parametrize(
    ("body", "kind", "charset", "expected"),
    [
        ("é".encode(), "text/csv; charset=none", AUTO, "é"),
        ("é".encode(), "text/csv; charset=us-ascii", AUTO, "é"),
        ("€é".encode("cp1252"), "text/csv;charset=ISO-8859-1", AUTO, "€é"),
        (b"\x81\xe9", "text/csv;charset=latin1", AUTO, "\x81é"),
        ("é".encode(), "text/csv; charset=latin1", "utf-8", "é"),
        ("é".encode("utf-8-sig"), "text/csv; charset=latin1", AUTO, "\ufeffé"),
        ("ж".encode("koi8-r"), "", "koi8-r", "ж"),
        (b"a", "text/csv; charset=unicode_escape", AUTO, "a"),
        (b"a", "text/csv; charset=hex", AUTO, "a"),
    ],
)
def test_which_character_set_counts(body: bytes, kind: str, charset: str, expected: str) -> None:
    assert decode(body, form=BodyForm(charset=charset), kind=kind).decode() == expected


def test_bytes_that_are_no_text_are_refused_and_replaced_in_errors() -> None:
    form, kind = BodyForm(charset=AUTO), "text/csv; charset=shift_jis"
    with pytest.raises(BadBody, match="shift_jis"):
        decode(b"a\xff\xff", form=form, kind=kind)
    with pytest.raises(BadBody, match="utf-16"):
        decode(b"\xff\xfea", form=form)
    assert decode(b"a\xff", form=form.lenient, kind=kind).decode() == "a\ufffd"


@given(
    st.text(st.characters(codec="utf-8", max_codepoint=0x10FFFF), max_size=60),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_utf_8_of_which_a_server_says_iso_8859_1_is_read_as_it_is(
    text: str, cuts: list[int]
) -> None:
    """Servlet containers say so of any text. Only a text that is told to be it is."""
    kind, body = "application/json; charset=ISO-8859-1", f"[{text}".encode()
    assert decode(body, form=TEXT, kind=kind, cuts=cuts) == body
    named = BodyForm(charset="iso-8859-1")
    assert decode("[ü".encode(), form=named).decode() == "[Ã¼"


@given(
    st.text("aé üß\n", max_size=60),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_text_in_iso_8859_1_is_read_as_a_server_says(text: str, cuts: list[int]) -> None:
    kind, body = "text/csv; charset=ISO-8859-1", f"[{text}".encode("cp1252")
    assert decode(body, form=TEXT, kind=kind, cuts=cuts).decode() == f"[{text}"


def test_text_that_grows_is_counted() -> None:
    with pytest.raises(BodyTooLarge):
        decode(
            "€".encode("cp1252") * 1000,
            form=TEXT,
            kind="text/csv; charset=latin1",
            limits=BodyLimits(body_bytes=1500),
        )


@pytest.mark.parametrize("name", ["no-such", "hex", "punycode", ""])
def test_what_is_no_character_set_has_no_codec(name: str) -> None:
    assert codec_of(name) == ""
