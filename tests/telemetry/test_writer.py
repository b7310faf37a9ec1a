"""Log lines and their readers: slow, stuck, gone."""

from __future__ import annotations

import io
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.telemetry.writer import LineWriter


def dropped(lines: int) -> bytes:
    return f"dropped {lines}\n".encode()


@given(st.lists(st.binary(max_size=50), max_size=50))
def test_a_reader_gets_every_line_in_order(lines: list[bytes]) -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream, dropped)
    for line in lines:
        writer.put(line + b"\n")
    writer.close()
    assert stream.getvalue() == b"".join(line + b"\n" for line in lines)


@pytest.mark.fault(43, by="a pipe that takes nothing")
def test_a_stuck_reader_costs_lines_but_never_time() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as reader, open(writing, "wb", buffering=0) as pipe:
        writer = LineWriter(pipe, dropped, bound_bytes=100_000)
        line = b"x" * 999 + b"\n"
        for number in range(
            1_000
        ):  # a pipe takes 64 KiB: the rest waits or is dropped, this loop does not
            writer.put(line, debug=number % 2 == 0)
        got = []
        thread = threading.Thread(target=lambda: got.append(reader.read()))
        thread.start()
        writer.close()
        pipe.close()
        thread.join()
    kept = got[0].count(line)
    assert kept >= 100  # what the bound holds was kept
    assert kept + sum(int(text.split(b"\n")[0]) for text in got[0].split(b"dropped ")[1:]) == 1_000


def test_closing_does_not_wait_for_a_stuck_reader() -> None:
    reading, writing = os.pipe()
    with open(writing, "wb", buffering=0) as pipe:
        writer = LineWriter(pipe, dropped)
        for _ in range(200):
            writer.put(b"x" * 1_000)
        writer.close(timeout_s=0.05)
        assert writer._thread.is_alive()
        assert writer._thread.daemon  # so that it does not keep the process alive
        os.close(reading)
        writer._thread.join()


def test_a_reader_that_went_away_is_no_reason_to_stop() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with open(writing, "wb", buffering=0, closefd=False) as pipe:
            writer = LineWriter(pipe, dropped)
            writer.put(b"one\n")
            writer.close()
            writer.put(b"two\n")
            assert not writer._thread.is_alive()
    finally:
        os.close(writing)


def test_a_pipe_that_does_not_block() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        with open(writing, "wb", buffering=0, closefd=False) as pipe:
            writer = LineWriter(pipe, dropped)
            for _ in range(300):
                writer.put(b"x" * 999 + b"\n")
            got = bytearray()
            while got.count(b"\n") < 300:
                got += os.read(reading, 65_536)
            writer.close()
        assert got == (b"x" * 999 + b"\n") * 300
    finally:
        os.close(reading)
        os.close(writing)
