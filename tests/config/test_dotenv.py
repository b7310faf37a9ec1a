"""`.env` beside the config."""

from __future__ import annotations

import os
from pathlib import Path

import kit
import pytest

from worker.config.dotenv import environ_beside
from worker.core.errors import ConfigError
from worker.settings import load_settings


def test_variables_of_the_file_stand_behind_those_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SET", "by the process")
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / ".env").write_text(
        "\ufeff# a comment\nSET=by the file\nEMPTY=full\nexport TOKEN='t#1'\nNOTHING\nALSO=x${TOKEN}\n"
    )
    before = dict(os.environ)
    found = environ_beside(tmp_path / "worker.yaml")
    assert [found.get(name) for name in ("SET", "EMPTY", "TOKEN", "ALSO", "NOTHING")] == [
        *("by the process", "", "t#1", "xt#1", None)
    ]
    assert dict(os.environ) == before and "TOKEN" not in os.environ
    with pytest.raises(TypeError):
        found["TOKEN"] = "changed"  # type: ignore[index]
    monkeypatch.setenv("TOKEN", "rotated")
    assert found["TOKEN"] == "rotated"


def test_without_the_file_it_is_the_environment(tmp_path: Path) -> None:
    assert environ_beside(tmp_path / "worker.yaml") is os.environ


@pytest.mark.parametrize("kind", ["not UTF-8", "a directory", "too long", "a fifo"])
def test_a_file_that_cannot_be_read_is_an_error(kind: str, tmp_path: Path) -> None:
    place = tmp_path / ".env"
    if kind == "not UTF-8":
        place.write_bytes(b"A=\xff\n")
    elif kind == "a directory":
        place.mkdir()
    elif kind == "a fifo":
        os.mkfifo(place)
    else:
        place.write_text("A=b\n" * 300_000)
    with pytest.raises(ConfigError, match=r"\.env"):
        environ_beside(tmp_path / "worker.yaml")
    config = kit.write_config(tmp_path, "http://127.0.0.1:9/")
    with pytest.raises(ConfigError, match=r"\.env"):
        load_settings([config])


async def test_check_and_run_find_secrets_there(tmp_path: Path) -> None:
    config = kit.write_config(
        tmp_path,
        "http://127.0.0.1:9/",
        source={"headers": {"X-Key": {"env": "OF_THE_FILE"}}},
        transforms=[
            {"mask": {"fields": ["region"], "method": "hash", "key": {"env": "OF_THE_FILE"}}}
        ],
    )
    code, out, errors = await kit.worker("check", config)
    assert code == 78 and "OF_THE_FILE" in out + errors
    (tmp_path / ".env").write_text("OF_THE_FILE=s3cret\n")
    code, out, errors = await kit.worker("check", config)
    assert code == 0, out + errors
    code, out, errors = await kit.worker("run", config, "--once")
    assert code == 69, out + errors
