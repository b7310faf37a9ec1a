"""What the tests of real deployments share: tools that may be missing, root file systems, and a
config as `docs/how-to/deploy.md` says it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import kit
import pytest
from ruamel.yaml import YAML

from worker.testing.replica import Shape

ROOT = Path(__file__).parents[1]
CACHE = Path(os.environ.get("WORKER_DEPLOY_CACHE") or Path.home() / ".cache" / "worker-deploy-test")
SUITE = "trixie"  # its Python is that of the image we ship
SHAPE = Shape(style="cursor", cap=10, since="since")


def need(*tools: str, root: bool = True) -> None:
    """Skip with a reason that names all that is missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None] + ["root"] * (
        root and os.geteuid() != 0
    )
    if missing:
        pytest.skip(f"NOT CHECKED, this machine lacks: {', '.join(missing)}")


def run(*command: str | Path, timeout: float = 600, cwd: Path = ROOT) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(
        [str(each) for each in command], capture_output=True, text=True, timeout=timeout, cwd=cwd
    )
    assert done.returncode == 0, (
        f"{command[0]} exits {done.returncode}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
    )
    return done.stdout


def build_wheel() -> Path:
    """The directory `dist`, with one wheel: that of the tree as it is now."""
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    run(sys.executable, "-m", "build", "-q", "--wheel", "--no-isolation", "--outdir", dist)
    return dist


def root_tar(name: str, packages: Sequence[str]) -> Path:
    """A Debian with these packages, made once."""
    tar = CACHE / f"{SUITE}-{name}.tar"
    if not tar.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        part = tar.with_suffix(f".{os.getpid()}.tar")
        run("mmdebstrap", "-q", "--variant=minbase", f"--include={','.join(packages)}", SUITE, part)
        part.rename(tar)
    return tar


def write_config(
    directory: Path, url: str, *, auth: dict[str, Any] | None = None, **pipeline: Any
) -> Path:
    """A config without a path of its own: state and output go where the deployment says."""
    directory.mkdir(exist_ok=True)
    (directory / "item.avsc").write_text(json.dumps(kit.SCHEMA))
    source = {
        "url": url,
        "records": "items",
        "key": ["id"],
        "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}},
        "incremental": {"field": "updated_at", "param": "since"},
        "schedule": {"every": "1h"},
        **({"auth": auth} if auth else {}),
    }
    config = {
        "version": 1,
        "logging": {"format": "json"},
        "pipelines": {
            "items": {
                "source": source,
                "schema": "item.avsc",
                "sink": {"path": "lake", "roll": {"age": "1s"}},
                **pipeline,
            }
        },
    }
    path = directory / "worker.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(config, file)
    return path


async def until(what: str, holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that another process brings about."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what}: not in {seconds} s"
        await asyncio.sleep(0.1)
