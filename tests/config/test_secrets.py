"""Secrets: literals and references."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from worker.config.secrets import CREDENTIALS, Secret, SecretRef, secret_value
from worker.core.errors import ConfigError


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
    monkeypatch.setattr("worker.config.secrets.CREDENTIALS", tmp_path)
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
