"""The files sink and routes: parts, blocks, publish without replacing, and directories that no value can leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.dead_letter import dead_letter_line
from worker.core.errors import ConfigError, PublishConflict
from worker.core.model import Chunk, Reject
from worker.core.ports import InvalidRecord
from worker.formats.avro import AvroEncoder
from worker.schema.plan import FieldInfo
from worker.sinks.files import FilesSink, SinkLimits
from worker.transforms.routes import route_parts

SCHEMA = json.dumps({"type": "record", "name": "R", "fields": [{"name": "n", "type": "long"}]})
FIELDS = {
    "s": FieldInfo("s", "string", None, True),
    "n": FieldInfo("n", "long", None, True),
    "b": FieldInfo("b", "boolean", None, False),
    "t": FieldInfo("t", "long", "timestamp-millis", False),
    "ns": FieldInfo("ns", "long", "timestamp-nanos", False),
    "d": FieldInfo("d", "int", "date", False),
    "x": FieldInfo("x", "double", None, False),
}


def sink(root: Path, lineage: str = "l" * 16, **limits: Any) -> FilesSink:
    made = FilesSink(
        root,
        "p",
        lineage,
        1,
        lambda *_: AvroEncoder(SCHEMA, "null", {}),
        limits=SinkLimits(**limits),
    )
    made.prepare(())
    return made


def chunk(route: str, *numbers: int) -> Chunk:
    return Chunk(route, "f" * 16, len(numbers), bytes(2 * number for number in numbers))


def read(path: Path) -> list[int]:
    with path.open("rb") as file:
        return [record["n"] for record in fastavro.reader(file)]  # type: ignore[index,call-overload]


def listing(root: Path) -> list[str]:
    return sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and ".worker" not in path.parts
    )


def test_nothing_is_seen_before_it_is_published_and_then_all_of_it(tmp_path: Path) -> None:
    files = sink(tmp_path)
    files.write(chunk("a=1", 1, 2))
    files.write(chunk("a=2", 3))
    files.write(chunk("a=1", 4))
    sealed = files.seal()
    assert listing(tmp_path) == []
    files.publish(sealed)
    names = [f"a=1/p-{'l' * 16}-000000000001-0001.avro", f"a=2/p-{'l' * 16}-000000000001-0002.avro"]
    assert listing(tmp_path) == names
    assert [read(tmp_path / name) for name in names] == [[1, 2, 4], [3]]
    assert sorted(file.rows for file in sealed) == [1, 3]
    assert all((tmp_path / file.final).stat().st_size == file.size_bytes for file in sealed)
    files.publish(sealed)  # again, as recovery does
    assert listing(tmp_path) == names


def test_publishing_never_replaces(tmp_path: Path) -> None:
    files = sink(tmp_path)
    files.write(chunk("", 1))
    sealed = files.seal()
    (tmp_path / sealed[0].final).write_bytes(b"somebody else's")
    with pytest.raises(PublishConflict):
        files.publish(sealed)
    assert (tmp_path / sealed[0].final).read_bytes() == b"somebody else's"


def test_the_file_that_was_not_written_to_for_longest_is_sealed_first(tmp_path: Path) -> None:
    files = sink(tmp_path, open_files=2)
    for route in ("a", "b", "a", "c", "b"):
        files.write(chunk(route, 1))
    parts = [(file.final.split("/")[0], file.final[-9:-5], file.rows) for file in files.seal()]
    assert parts == [("b", "0002", 1), ("a", "0001", 2), ("c", "0003", 1), ("b", "0004", 1)]


def test_a_full_file_is_followed_by_its_next_part(tmp_path: Path) -> None:
    files = sink(tmp_path, file_bytes=300, block_bytes=1)
    for number in range(50):
        files.write(chunk("", number % 60))
    sealed = files.seal()
    assert len(sealed) > 1
    files.publish(sealed)
    assert [number for file in sealed for number in read(tmp_path / file.final)] == [
        number % 60 for number in range(50)
    ]


def test_a_commit_of_many_files_is_due(tmp_path: Path) -> None:
    files = sink(tmp_path, commit_files=3)
    for route in ("a", "b"):
        files.write(chunk(route, 1))
    assert not files.full
    files.write(chunk("c", 1))
    assert files.full
    files.seal()
    files.begin(2)
    assert not files.full


def test_only_the_own_staging_is_swept(tmp_path: Path) -> None:
    files, other = (
        sink(tmp_path),
        FilesSink(tmp_path, "q", "l" * 16, 1, lambda *_: AvroEncoder(SCHEMA, "null", {})),
    )
    other.prepare(())
    for each in (files, other):
        each.write(chunk("", 1))
        each.close()
    assert files.sweep() == 1
    assert other.sweep() == 1


def test_another_lineage_of_the_pipeline_is_refused_unless_it_is_known(tmp_path: Path) -> None:
    sink(tmp_path)
    with pytest.raises(ConfigError, match="state reset"):
        sink(tmp_path, "m" * 16)
    FilesSink(tmp_path, "p", "m" * 16, 1, lambda *_: AvroEncoder(SCHEMA, "null", {})).prepare(
        ("l" * 16,)
    )


def test_a_link_in_the_output_is_not_followed(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    elsewhere.mkdir()
    files = sink(root)
    (root / "a").symlink_to(elsewhere)
    files.write(chunk("a", 1))
    with pytest.raises(PublishConflict):
        files.publish(files.seal())
    assert list(elsewhere.iterdir()) == []


values = st.one_of(
    st.none(),
    st.text(max_size=60),
    st.sampled_from(
        ["..", ".", "/", "a/../../b", "\0", "%2e%2e", "~", "CON", "a\nb", "ü" * 30, " "]
    ),
)


@given(values)
def test_any_text_is_one_segment_below_the_root_and_distinct_texts_stay_distinct(
    value: str | None,
) -> None:
    ((_, _, segments),) = route_parts("{s}", FIELDS)
    assert segments is not None
    try:
        segment = segments[value]
    except InvalidRecord as refused:
        assert refused.code == "route_too_long"
        return
    assert segment and "/" not in segment and "\0" not in segment and segment not in (".", "..")
    assert len(segment.encode()) <= 200
    root = Path("/data/lake")
    assert (root / segment).parent == root
    if value:
        from urllib.parse import unquote

        assert unquote(segment) == value


@pytest.mark.parametrize(
    ("template", "value", "segment"),
    [
        ("{n}", -5, "-5"),
        ("{b}", True, "true"),
        ("{s}", "", "__null__"),
        ("{t:%Y-%m-%d}", 1_700_000_000_000, "2023-11-14"),
        ("{t:%Y}", -1, "1969"),
        ("{ns:%Y-%m-%dT%H}", 1_700_000_000_123_456_789, "2023-11-14T22"),
        ("{ns:%Y}", -1, "1969"),
        ("{d}", 0, "1970-01-01"),
        ("{d:%Y/%m}", 31, "1970%2F02"),
    ],
)
def test_segments(template: str, value: Any, segment: str) -> None:
    ((_, _, segments),) = route_parts(template, FIELDS)
    assert segments is not None
    assert segments[value] == segment


@pytest.mark.parametrize(
    "template", ["../{s}", "/x", "{s}//{n}", "{x}", "{nope}", "{s:%Y}", "{", "a\0", "."]
)
def test_templates_that_cannot_work_are_refused(template: str) -> None:
    with pytest.raises(ConfigError):
        route_parts(template, FIELDS)


def test_a_time_out_of_range_is_a_reject() -> None:
    ((_, _, segments),) = route_parts("{t:%Y}", FIELDS)
    assert segments is not None
    with pytest.raises(InvalidRecord) as caught:
        segments[10**18]
    assert (caught.value.code, caught.value.stage) == ("route_value", "route")


@given(st.binary(max_size=50))
def test_a_dead_letter_keeps_the_bytes(raw: bytes) -> None:
    import base64

    line = dead_letter_line(
        Reject(3, "validate", "invalid", (), raw),
        pipeline="p",
        partition="a",
        seq=7,
        position=None,
        at="t",
        fingerprint="f",
    )
    letter = json.loads(line)
    assert line.endswith(b"\n") and b"\n" not in line[:-1]
    assert (
        letter["raw"].encode() if "raw" in letter else base64.b64decode(letter["raw_base64"])
    ) == raw
