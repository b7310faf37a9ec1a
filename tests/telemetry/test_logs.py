"""What others have said stands in a log as text: it ends no line, and commands no terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.cli import show
from worker.core.errors import PermanentError
from worker.core.events import Event, FieldUnknown, PartitionParked
from worker.runtime.streams import harmless
from worker.telemetry.emit import Telemetry
from worker.telemetry.logs import open_logger
from worker.telemetry.metrics import Metrics

FORGED = "404\n2026-01-01T00:00:00Z [info     ] commit.published\x1b[2J\x9b1A\u202e\ud800"
SAYINGS = st.text() | st.text(st.sampled_from('\n\r\x00\x1b[2J\x7f\x9b\u2028\u202e"\\\ud800a='))
LOGGED: dict[str, Callable[[str], Event]] = {
    "a text": lambda said: PartitionParked("items", said, "code", said, 1.0),
    "a text of several": lambda said: FieldUnknown("items", said, (said, "text")),
}


def logged(style: str, event: Event, capfd: pytest.CaptureFixture[str]) -> str:
    capfd.readouterr()
    with open_logger("debug", style) as logger:
        Telemetry(logger, Metrics(), _Clock())(event)
    return capfd.readouterr().err


class _Clock:
    """Time stands."""

    def monotonic(self) -> float:
        return 0.0

    def time(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@given(SAYINGS)
def test_what_is_harmless_has_nothing_for_a_terminal_and_can_be_written(said: str) -> None:
    shown = harmless(said)
    assert all(char.isprintable() or char in "\n\t" or not char.isascii() for char in shown)
    assert not set(shown) & set("\x7f\x9b\u2028\u202e")
    assert shown.encode().decode() == shown
    assert harmless(shown) == shown
    if said.isascii() and said.isprintable():
        assert shown == said


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("place", LOGGED)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SAYINGS)
def test_an_event_is_one_line_whatever_was_said(
    style: str, place: str, capfd: pytest.CaptureFixture[str], said: str
) -> None:
    text = logged(style, LOGGED[place](said), capfd)
    assert text.endswith("\n") and len(text.splitlines()) == 1
    assert harmless(text) == text


def test_a_forged_line_is_read_as_what_was_said(capfd: pytest.CaptureFixture[str]) -> None:
    line = json.loads(logged("json", PartitionParked("items", "a", "c", FORGED, 1.0), capfd))
    assert (line["event"], line["reason"]) == (
        "partition.parked",
        "404\n2026-01-01T00:00:00Z [info     ] commit.published\\x1b[2J\\x9b1A\\u202e\\ud800",
    )


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize(
    "said",
    [
        {"api_key": "hunter2"},
        {"Authorization": "Bearer hunter2"},
        {"reason": "GET http://me:hunter2@h.example/a?page=2: no answer"},
        {"reason": "GET http://h.example/a?access_token=hunter2&page=2: no answer"},
    ],
)
def test_a_secret_is_taken_out_of_a_line(
    style: str, said: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    with open_logger("debug", style) as logger:
        logger.info("request.ended", **said)
    line = capfd.readouterr().err
    assert "hunter2" not in line and "***" in line
    assert ("page=2" in line) == ("reason" in said)


def test_the_last_troubles_tell_no_secret_of_a_url(capfd: pytest.CaptureFixture[str]) -> None:
    said = "GET http://me:hunter2@h.example/a?access_token=hunter3: no answer"
    with open_logger("debug", "json") as logger:
        telemetry = Telemetry(logger, Metrics(), _Clock())
        telemetry(PartitionParked("items", "a", "transient", said, 1.0))
    [trouble] = telemetry.troubles("items")
    assert trouble["reason"] == "GET http://***h.example/a?*** no answer"


def test_an_error_commands_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    show(PermanentError(f"the server said {FORGED}", remedy=FORGED))
    text = capfd.readouterr().err
    assert "said 404" in text and harmless(text) == text


def test_what_is_printed_to_a_terminal_commands_it_nothing() -> None:
    ours, theirs = pty.openpty()
    program = (
        "from worker.runtime.streams import open_streams\n"
        f"open_streams(); print({FORGED!r}, flush=True)"
    )
    try:
        subprocess.run([sys.executable, "-c", program], stdout=theirs, check=True, timeout=60)
        text = os.read(ours, 1_000).decode().replace("\r\n", "\n")
    finally:
        os.close(ours)
        os.close(theirs)
    assert text == harmless(FORGED) + "\n"
