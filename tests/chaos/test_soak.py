"""All faults at random for a long time: `make soak`."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import soak

from worker.core.errors import Exit

LONG_S = 300  # from here on memory has settled in the second quarter
SECONDS = float(os.environ.get("SECONDS", "40"))


@pytest.mark.chaos
@pytest.mark.fault(
    44,
    by="bad answers, full disks, SIGKILL, SIGTERM and SIGSTOP at random over a source that grows",
)
async def test_under_random_faults_what_lands_is_what_the_source_has(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED", "1"))
    found = await soak.Soak(tmp_path, seconds=SECONDS, seed=seed).run()
    print(f"{SECONDS:.0f} s, seed {seed}: wrong: {found.wrong or 'nothing'}")
    print(f"faults: {dict(found.faults)}; ended: {dict(found.ended)}")
    print(f"medians of quarters: {found.slopes()}")
    assert found.wrong == []
    # SIGTERM before it is heeded, in the first moment, and while an output has no space, are no 0
    assert set(found.ended) <= {0, -signal.SIGKILL, -signal.SIGTERM, Exit.IO}
    assert len(found.samples) > SECONDS / 2
    if SECONDS >= LONG_S:
        assert found.quarter("rss_kib", 3) <= 1.05 * found.quarter("rss_kib", 1)
        for what in ("descriptors", "threads", "tasks"):
            assert found.quarter(what, 3) == found.quarter(what, 1), what
