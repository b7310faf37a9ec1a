"""The memory that a process may have, in the files of cgroups of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.runtime.machine import memory_limit

MIB = 1024 * 1024
NONE = (1 << 63) - 4096


def machine(root: Path, cgroup: str, files: dict[str, str]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("cgroup", "files"),
    [
        pytest.param("0::/pod/box\n", {"pod/box/memory.max": f"{128 * MIB}\n"}, id="2"),
        pytest.param(
            "0::/pod/box\n",
            {"pod/box/memory.max": "max\n", "pod/memory.max": f"{128 * MIB}\n"},
            id="2 around it",
        ),
        pytest.param("0::/\n", {"memory.max": f"{128 * MIB}\n"}, id="2 of its own"),
        pytest.param(
            "5:pids:/a\n4:cpu,memory:/box\n0::/\n",
            {
                "memory/box/memory.limit_in_bytes": f"{128 * MIB}\n",
                "memory/memory.limit_in_bytes": f"{NONE}\n",
            },
            id="1",
        ),
        pytest.param(
            "4:memory:/docker/123\n",
            {"memory/memory.limit_in_bytes": f"{128 * MIB}"},
            id="1 mounted",
        ),
    ],
)
def test_the_limit_of_a_container_is_found(
    tmp_path: Path, cgroup: str, files: dict[str, str]
) -> None:
    assert memory_limit(machine(tmp_path, cgroup, files)) == 128 * MIB


@pytest.mark.parametrize(
    ("cgroup", "files"),
    [
        ("0::/\n", {}),
        ("0::/\n", {"memory.max": "max\n"}),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": f"{NONE}\n"}),
    ],
)
def test_without_a_limit_the_machine_is_the_limit(
    tmp_path: Path, cgroup: str, files: dict[str, str]
) -> None:
    everything = memory_limit(tmp_path / "nowhere")
    assert memory_limit(machine(tmp_path, cgroup, files)) == everything > 128 * MIB
