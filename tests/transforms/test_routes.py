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
from worker.transforms.routes import Segments, route_parts, shared_segments

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
    st.builds(lambda first, rest: first + rest, st.sampled_from("._"), st.text(max_size=9)),
    st.sampled_from(
        [
            *("..", ".", "/", "a/../../b", "\0", "%2e%2e", "~", "CON", "a\nb", "ü" * 30, " "),
            *(".worker", "_x", "__null__", "_" * 199, "." * 200, "x" * 256, "/" * 67),
        ]
    ),
)
TEMPLATES = ("{s}", "a/{s}", "{s}{s}", "{s}/{s}", "s={s}", "{{{s}", "{s}_{s}", "x/{s}.{s}/{s}")


def segments_of(template: str) -> Segments:
    """The values of the only field of a template, as text."""
    ((_, _, segments),) = route_parts(template, FIELDS)
    assert segments is not None
    return segments


def routed(template: str, *given: Any) -> str:
    """The route of a record with these values, as the generated function joins it."""
    parts, left = route_parts(template, FIELDS), iter(given)
    route = "".join(
        literal + (segments[next(left)] if segments is not None else "")
        for literal, _, segments in parts
    )
    shared = shared_segments(parts)
    return route if shared is None else shared[route]


@given(values)
def test_distinct_texts_stay_distinct(value: str | None) -> None:
    try:
        segment = segments_of("{s}")[value]
    except InvalidRecord as refused:
        assert refused.code == "route_too_long"
        return
    if value:
        assert unquote(segment) == value


@pytest.mark.fault(59, by="any text as the value of a route")
@given(st.sampled_from(TEMPLATES), st.tuples(values, values, values))
def test_every_listing_sees_every_route_and_none_leaves_the_root(
    template: str, given: tuple[Any, ...]
) -> None:
    try:
        route = routed(template, *given)
    except InvalidRecord as refused:
        assert (refused.code, refused.stage) == ("route_too_long", "route")
        return
    root = Path("/data/lake")
    segments = (root / route).relative_to(root).parts
    assert "/".join(segments) == route and len(segments) == template.count("/") + 1
    for segment in segments:
        assert segment[0] not in "._" and "\0" not in segment
        assert len(segment.encode()) <= 200


@pytest.mark.parametrize(
    ("template", "value", "segment"),
    [
        ("{n}", -5, "-5"),
        ("{b}", True, "true"),
        ("{s}", "", "%5F_null__"),
        ("{s}", None, "%5F_null__"),
        ("{s}", "__null__", "%5F_null__"),
        ("{s}", ".worker", "%2Eworker"),
        ("{s}", "..", "%2E."),
        ("{s}", "_x", "%5Fx"),
        ("{s}", "x_.y", "x_.y"),
        ("{t:%Y-%m-%d}", 1_700_000_000_000, "2023-11-14"),
        ("{t:_%Y}", 1_700_000_000_000, "%5F2023"),
        ("{t:%Y}", -1, "1969"),
        ("{ns:%Y-%m-%dT%H}", 1_700_000_000_123_456_789, "2023-11-14T22"),
        ("{ns:%Y}", -1, "1969"),
        ("{d}", 0, "1970-01-01"),
        ("{d:%Y/%m}", 31, "1970%2F02"),
    ],
)
def test_segments(template: str, value: Any, segment: str) -> None:
    assert segments_of(template)[value] == segment


@pytest.mark.parametrize(
    ("template", "given", "route"),
    [
        ("s={s}", (None,), "s=__null__"),
        ("s={s}", (".worker",), "s=.worker"),
        ("{s}{s}", ("_", "_"), "%5F_"),
        ("{s}{s}", (None, None), "%5F_null____null__"),
        ("a/{s}", ("_",), "a/%5F"),
        ("a{{/{s}", ("_",), "a{/%5F"),
        ("{s}_{s}", ("x", "y"), "x_y"),
    ],
)
def test_only_the_beginning_of_a_segment_is_encoded(
    template: str, given: tuple[Any, ...], route: str
) -> None:
    assert routed(template, *given) == route


@pytest.mark.parametrize(
    ("template", "given", "fits"),
    [
        ("{s}", ("x" * 200,), True),
        ("{s}", ("x" * 201,), False),
        ("s={s}", ("x" * 198,), True),
        ("s={s}", ("x" * 199,), False),
        ("{s}{s}", ("x" * 190, "y" * 10), True),
        ("{s}{s}", ("x" * 190, "y" * 11), False),
        ("{s}{{{s}", ("x" * 190, "y" * 10), False),
        ("{s}/{s}", ("x" * 200, "y" * 200), True),
        ("ü/{s}", ("x" * 200,), True),
        ("ü{s}", ("x" * 199,), False),
        ("{s}", ("_" + "x" * 197,), True),
        ("{s}", ("_" + "x" * 198,), False),
    ],
)
def test_a_segment_has_at_most_200_bytes_with_all_that_stands_in_it(
    template: str, given: tuple[Any, ...], fits: bool
) -> None:
    if fits:
        routed(template, *given)
        return
    with pytest.raises(InvalidRecord) as caught:
        routed(template, *given)
    assert (caught.value.code, caught.value.stage) == ("route_too_long", "route")


@pytest.mark.parametrize(
    "template",
    [
        *("../{s}", "/x", "{s}//{n}", "{x}", "{nope}", "{s:%Y}", "{", "a\0", ".", "{}/x", "{s!r}"),
        *(".worker/{s}", "_x", "_{s}", ".{s}", "{s}/_{n}", "a/.b/{s}", "x" * 200 + "{s}"),
    ],
)
def test_templates_that_cannot_work_are_refused(template: str) -> None:
    with pytest.raises(ConfigError):
        route_parts(template, FIELDS)


def test_a_time_out_of_range_is_a_reject() -> None:
    with pytest.raises(InvalidRecord) as caught:
        segments_of("{t:%Y}")[10**18]
    assert (caught.value.code, caught.value.stage) == ("route_value", "route")
