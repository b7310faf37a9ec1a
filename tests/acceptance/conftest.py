"""After every acceptance test the ledger of every commit must balance."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from worker.core.model import Ledger


@pytest.fixture(autouse=True)
def the_ledger_holds(tmp_path: Path) -> Iterator[None]:
    yield
    for database in tmp_path.rglob("state.db"):
        log = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        try:
            commits = log.execute("SELECT pipeline, seq, ledger FROM commits").fetchall()
        except sqlite3.DatabaseError:
            continue  # the test damaged it
        finally:
            log.close()
        for pipeline, seq, text in commits:
            ledger = msgspec.json.decode(text, type=Ledger)
            assert ledger.balanced, (pipeline, seq, ledger)
