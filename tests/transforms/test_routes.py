"""Routes: directories that no value can leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import ConfigError
from worker.core.ports import InvalidRecord
from worker.schema.plan import FieldInfo
from worker.transforms.routes import route_parts

FIELDS = {
    "s": FieldInfo("s", "string", None, True),
    "n": FieldInfo("n", "long", None, True),
    "b": FieldInfo("b", "boolean", None, False),
    "t": FieldInfo("t", "long", "timestamp-millis", False),
    "ns": FieldInfo("ns", "long", "timestamp-nanos", False),
    "d": FieldInfo("d", "int", "date", False),
    "x": FieldInfo("x", "double", None, False),
}

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
