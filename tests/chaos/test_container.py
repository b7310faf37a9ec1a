"""Pages of 20 MB in a container of 128 MiB: they park by name, nothing is killed, and what the
other pipelines read lands.

`make long-memory` lets it run for ten minutes.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import kit
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from ruamel.yaml import YAML

pytestmark = pytest.mark.chaos

LIMIT = 128 * 1024 * 1024
SECONDS = float(os.environ.get("CONTAINER_SECONDS", "8"))

RUN = """
import json, sys
from pathlib import Path
from worker.app import run
from worker.settings import load_settings
result = run(load_settings([Path(sys.argv[1])]), once=False, for_s=float(sys.argv[2]))
print(json.dumps({"exit": result.exit_code, "records": {each.name: each.records for each in result.pipelines}}))
"""


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup of this machine with the limit, of either version."""
    mount = Path("/sys/fs/cgroup")
    parent, limit = next(
        (
            (each, name)
            for each, name in (
                (mount / "memory", "memory.limit_in_bytes"),
                (mount, "memory.max"),
            )
            if (each / "cgroup.procs").exists()
        ),
        (None, ""),
    )
    if parent is None:
        pytest.skip("there are no cgroups of memory here")
    found = parent / f"worker-test-{os.getpid()}"
    try:
        found.mkdir()
        (found / limit).write_text(str(LIMIT))
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    try:
        yield found
    finally:
        found.rmdir()


def killed(cgroup: Path) -> int:
    """How many processes the kernel has killed for their memory."""
    for name in ("memory.oom_control", "memory.events"):
        if (path := cgroup / name).exists():
            counts = dict(line.split() for line in path.read_text().splitlines())
            return int(counts["oom_kill"])
    raise AssertionError("the cgroup does not say what it has killed")


def twenty_mb() -> bytes:
    record = json.dumps({**kit.item(1, second=1), "note": "x" * 200})
    return b'{"items": [' + b",".join([record.encode()] * (20_000_000 // len(record))) + b"]}"


@pytest.mark.parametrize("sent", ["with its length", "in chunks", "compressed"])
async def test_pages_that_do_not_fit_the_container_park_and_the_others_land(
    tmp_path: Path, cgroup: Path, sent: str
) -> None:
    large, served = twenty_mb(), {"large": 0, "small": 0}
    packed = gzip.compress(large, 1)

    async def answer(request: web.Request) -> web.Response:
        served[request.match_info["kind"]] += 1
        if request.match_info["kind"] == "large":
            found = web.Response(body=large, content_type="application/json")
            if sent == "in chunks":
                found.enable_chunked_encoding()
            elif sent == "compressed":
                found = web.Response(body=packed, headers={"Content-Encoding": "gzip"})
            return found
        return web.json_response({"items": [kit.item(served["small"], second=served["small"])]})

    application = web.Application()
    application.router.add_get("/{kind}", answer)
    async with TestServer(application) as server:
        config = kit.write_config(tmp_path, str(server.make_url("/small")))
        both = YAML(typ="safe").load(config.read_text())
        small = both["pipelines"].pop("items")
        small["source"]["schedule"] = {"every": "200ms"}
        small["sink"]["roll"] = {"age": "1s"}
        source = small["source"] | {
            "url": str(server.make_url("/large")),
            "params": {"part": "{partition.part}"},
            "partitions": {"part": list(range(4))},
        }
        lake = {"path": str(tmp_path / "large")}
        both["pipelines"] = {"small": small, "large": small | {"source": source, "sink": lake}}
        with config.open("w") as file:
            YAML(typ="safe").dump(both, file)
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", 'echo $$ > "$0" && exec "$@"', str(cgroup / "cgroup.procs")),
            *(sys.executable, "-c", RUN, str(config), str(SECONDS)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, log = await process.communicate()
    assert killed(cgroup) == 0
    result = json.loads(out)
    assert result["records"]["small"] >= SECONDS / 2
    assert result["records"]["large"] == 0
    assert served["large"] >= 4, "each of its partitions has asked"
    assert b'"over_memory"' in log and b"in the memory that there is for pages" in log
    assert process.returncode == 0
