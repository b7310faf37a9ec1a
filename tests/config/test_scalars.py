"""Durations and sizes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.config.scalars import duration_seconds, size_bytes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("0s", 0), ("1.5s", 1.5), ("5m", 300), ("1h", 3600), ("7d", 604_800)],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "5",
        5,
        5.0,
        None,
        "5 s",
        "s",
        "-5s",
        "5S",
        "5sec",
        "1e3s",
        "٥s",
        "1h30m",
        "9" * 400 + "s",
        "999999999999d",
        True,
    ],
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="30s"):
        duration_seconds(value)


@pytest.mark.parametrize(
    ("value", "size"), [("64KiB", 65_536), ("1B", 1), ("2GiB", 2**31), ("100", 100), (100, 100)]
)
def test_sizes_are_bytes(value: str | int, size: int) -> None:
    assert size_bytes(value) == size


@pytest.mark.parametrize(
    "value", ["", "5KB", "1.5MiB", "-1", -1, True, None, 1.5, "5 KiB", "٥", "9" * 400]
)
def test_what_is_no_size_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="MiB"):
        size_bytes(value)


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    for parse in (duration_seconds, size_bytes):
        with contextlib.suppress(ValueError):
            assert parse(text) >= 0
