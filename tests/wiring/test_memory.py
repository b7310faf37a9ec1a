"""What there is for pages, and what `check` says where it does not fit the limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kit
import pytest

from worker.settings import Settings, load_settings
from worker.wiring.describe import describe
from worker.wiring.memory import memory_bytes

MIB = 1024 * 1024


def configured(directory: Path, memory: str = "", **pipeline: Any) -> Settings:
    config = kit.write_config(directory, "http://127.0.0.1:1/items", **pipeline)
    if memory:
        config.write_text(f"{config.read_text()}\nmemory: {memory}\n")
    return load_settings([config])


@pytest.mark.parametrize(
    ("configured", "limit_mib", "found_mib"),
    [(None, 128, 32), (None, 64, 4), (None, 1, 4), (None, 8 * 1024, 4064), (7 * MIB, 128, 7)],
)
def test_pages_have_half_of_what_the_container_leaves_beside_the_process(
    configured: int | None, limit_mib: int, found_mib: int
) -> None:
    assert memory_bytes(configured, limit_mib * MIB) == found_mib * MIB


def test_check_says_how_large_pages_may_be(tmp_path: Path) -> None:
    (promise,) = describe(configured(tmp_path, "64MiB"))
    assert promise["memory"].startswith(
        "64.0 MiB for the pages of all pipelines; bodies of up to 12.8 MiB fit"
    )


def warnings(settings: Settings) -> list[str]:
    (promise,) = describe(settings)
    return [each.partition(":")[0] for each in promise["warnings"]]


@pytest.mark.parametrize(
    ("memory", "pipeline", "named"),
    [
        pytest.param("", {}, [], id="nothing said"),
        pytest.param("64MiB", {"source": {"limits": {"body": "12MiB"}}}, [], id="they fit"),
        pytest.param(
            "64MiB", {"source": {"limits": {"body": "13MiB"}}}, ["source.limits.body"], id="limit"
        ),
        pytest.param("64MiB", {}, ["source.limits.body"], id="the usual limit is too large"),
        pytest.param(
            "64MiB",
            {"channel_bytes": "65MiB", "source": {"limits": {"body": "1MiB"}}},
            ["channel_bytes"],
            id="cap",
        ),
        pytest.param("4096GiB", {}, ["memory"], id="more than there is"),
    ],
)
def test_limits_that_do_not_fit_the_memory_are_named(
    tmp_path: Path, memory: str, pipeline: dict[str, Any], named: list[str]
) -> None:
    assert warnings(configured(tmp_path, memory, **pipeline)) == named
