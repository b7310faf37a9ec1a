"""Durations, sizes, secrets."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from worker.config.types import (
    CREDENTIALS,
    Secret,
    SecretRef,
    duration_seconds,
    secret_value,
    size_bytes,
)
from worker.core.errors import ConfigError


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


def test_a_secret_is_a_literal_or_one_reference() -> None:
    adapter = TypeAdapter[str | SecretRef](Secret)
    assert adapter.validate_python("abc") == "abc"
    assert adapter.validate_python({"env": "A"}) == SecretRef(env="A")
    for wrong in (
        5,
        None,
        [],
        {},
        {"env": "A", "file": "b"},
        {"vault": "x"},
        {"env": ""},
        {"credential": "/etc/shadow"},
        {"credential": "a/../../b"},
    ):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)


def test_secrets_come_from_environment_file_and_credentials_directory(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\r\n")
    environ = {"TOKEN": "abc", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert SecretRef(env="TOKEN").resolve(environ, {}) == "abc"
    assert SecretRef(file=tmp_path / "token").resolve({}, {}) == "s3cret"
    assert SecretRef(credential="token").resolve(environ, {}) == "s3cret"


def test_without_a_credentials_directory_the_mount_of_containers_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.config.types.CREDENTIALS", tmp_path)
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "token").write_text("mounted")
    assert SecretRef(credential="api/token").resolve({"CREDENTIALS_DIRECTORY": ""}, {}) == "mounted"
    assert str(CREDENTIALS) == "/run/secrets"


def test_references_are_filled_with_the_values_of_the_partition(tmp_path: Path) -> None:
    (tmp_path / "acme.key").write_text("k")
    assert (
        SecretRef(env="TOKEN_{partition.tenant}").resolve({"TOKEN_acme": "t"}, {"tenant": "acme"})
        == "t"
    )
    assert (
        SecretRef(file=tmp_path / "{partition.tenant}.key").resolve({}, {"tenant": "acme"}) == "k"
    )


def test_a_rotated_secret_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = SecretRef(env="ROTATED")
    monkeypatch.setenv("ROTATED", "one")
    assert secret_value(secret, {}) == "one"
    monkeypatch.setenv("ROTATED", "two")
    assert secret_value(secret, {}) == "two"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 70_000])
def test_a_secret_file_that_holds_none_is_refused_without_its_content(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(ConfigError, match="the secret in") as raised:
        SecretRef(file=tmp_path / "s").resolve({}, {})
    assert "xxxx" not in str(raised.value) and raised.value.remedy


def test_line_ends_behind_a_variable_are_dropped_as_those_of_files() -> None:
    assert SecretRef(env="A").resolve({"A": "abc\r\n"}, {}) == "abc"
    with pytest.raises(ConfigError, match="empty"):
        SecretRef(env="A").resolve({"A": "\n"}, {})


def test_an_empty_variable_is_no_secret() -> None:
    with pytest.raises(ConfigError, match="is empty"):
        SecretRef(env="A").resolve({"A": ""}, {})
