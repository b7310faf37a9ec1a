"""Addresses are no directories."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from worker.config.directories import Directory

DIRECTORY = TypeAdapter(Directory)
SEGMENT = st.text(st.sampled_from("ab.:-_ %=@é"), min_size=1, max_size=8)
SCHEMES = ("s3", "gs", "abfs", "abfss", "az", "file", "FILE", "http", "hdfs", "git+ssh", "memory")


def refused(value: str) -> str:
    with pytest.raises(ValidationError) as caught:
        DIRECTORY.validate_python(value)
    ((error),) = caught.value.errors()
    assert error["type"] == "refused"
    return f"{error['ctx']['found']}; {error['ctx']['allowed']}; {error['ctx']['remedy']}"


@pytest.mark.parametrize("slashes", ["/", "//", "///"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_address_is_refused_with_its_scheme(scheme: str, slashes: str) -> None:
    text = refused(f"{scheme}:{slashes}bucket/x")
    assert f"the scheme {scheme}," in text and "directories only" in text


@pytest.mark.parametrize(
    ("address", "instead"),
    [
        ("file:///data/x", "write /data/x"),
        ("file:/data/x", "write /data/x"),
        ("file://localhost/data/a%20b", "write /data/a b"),
        ("file://server/data/x", "write to a directory"),
        ("simplecache::s3://bucket/x", "write to a directory"),
        ("s3://[/x", "write a path"),
    ],
)
def test_the_remedy_is_a_path_where_one_is_meant(address: str, instead: str) -> None:
    assert instead in refused(address)


def test_a_path_without_a_meaning_to_the_system_is_refused() -> None:
    assert "NUL" in refused("lake\0x")


def test_a_password_in_an_address_is_not_shown() -> None:
    assert "hunter2" not in refused("s3://key:hunter2@bucket/x")


@given(st.lists(SEGMENT, min_size=1, max_size=4), st.sampled_from(["", "/", "./", "../"]))
def test_every_other_path_is_taken_as_it_is(segments: list[str], start: str) -> None:
    text = start + "/".join(segments)
    if not any(each.endswith(":") for each in segments[:-1]):
        assert DIRECTORY.validate_python(text) == Path(text)


@pytest.mark.parametrize("text", ["c:/x", "a:b/c", "dt=12:30/x", "lake", "/data/12:/x"])
def test_a_colon_alone_makes_no_address(text: str) -> None:
    assert DIRECTORY.validate_python(text) == Path(text)
