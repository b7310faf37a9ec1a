"""Odd servers, as users meet them: what lands is what they have, or the error says why not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cases.runner import Case, cases, landed, serve, worker

CASES = {case.name: case for case in cases()}


@pytest.mark.parametrize("name", CASES)
def test_what_lands_is_what_the_server_has_or_the_error_says_why_not(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    case, config = CASES[name], tmp_path / "config.yaml"
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "helper", raising=False)
    with serve(case) as server:
        case.write(tmp_path, server.port)
        for variable, value in case.env(server.port).items():
            monkeypatch.setenv(variable, value)
        code = worker("check", "config.yaml")
        told = all_told = shown(capfd)
        assert code == case.check, told
        for number, expected in enumerate(case.exits, 1):
            server.begin_run(number)
            code = worker("run", "config.yaml", "--once")
            told = shown(capfd)
            all_told += told
            assert code == expected, f"run {number}: {told}"
        if "requests" in case.meta:
            last = [ask for ask in server.asked if ask.run == len(case.exits)]
            assert len(last) <= case.meta["requests"], [ask.path for ask in last]
        if "replay" in case.meta:
            case.mend(tmp_path, server.port)
            code = worker("dlq", "replay", "config.yaml", "--pipeline", "items")
            told = shown(capfd)
            assert code == case.meta["replay"], told
    assert landed(tmp_path) == case.expected
    for words in case.meta.get("hides", ()):
        assert words not in all_told
        made = [path for path in tmp_path.rglob("*") if path.is_file() and path != config]
        assert not [path for path in made if words.encode() in path.read_bytes()]
    if "error" in case.meta:
        named = case.meta["error"]
        assert f'"code":"{named}"' in told or f"error [{named}]" in told, told
    for words in case.meta.get("says", ()):
        assert words in told, told


def shown(capfd: pytest.CaptureFixture[str]) -> str:
    """What a command has printed on both streams."""
    return "".join(capfd.readouterr())


def test_there_is_a_healthy_twin_beside_every_alarm() -> None:
    alarms = [case for case in CASES.values() if case.alarm]
    assert {
        case.name for case in alarms if not healthy(CASES.get(case.meta.get("twin", "")))
    } == set()
    assert len(alarms) >= 20 and len(CASES) - len(alarms) >= 30


def healthy(case: Case | None) -> bool:
    return case is not None and not case.alarm


def test_every_alarm_names_its_code() -> None:
    assert {
        case.name for case in CASES.values() if case.alarm and "error" not in case.meta
    } == set()
