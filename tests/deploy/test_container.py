"""The image is built from deploy/container/Dockerfile and runs as the manifests say: `make
long-deploy`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import deploy_kit
import kit
import pytest

from worker.testing.replica import Fault, Replica, Seen

pytestmark = pytest.mark.deploy

BASE = "localhost/worker-deploy-test-base"
OWNER = 65532
IMAGE = "localhost/worker-deploy-test"
STORE = (
    "--storage-driver=overlay",
    f"--root={deploy_kit.CACHE}/images",
    f"--runroot={deploy_kit.CACHE}/run",
)
# health checks are ours to run: podman would ask a systemd for a timer
PODMAN = ("env", "DISABLE_HC_SYSTEMD=true", "podman", *STORE, "--cgroup-manager=cgroupfs")
# crun refuses a hybrid cgroup layout: its cgroup2 part is taken away, in a mount namespace of this
# process only
ALONE = (
    "unshare",
    "--mount",
    "--propagation=private",
    "sh",
    "-c",
    'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"',
    "-",
)
MEMORY = 128 * 1024**2
HARDENED = (
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    f"--memory={MEMORY}",
    f"--memory-swap={MEMORY}",
    "--ulimit=nofile=4096:4096",
    "--ulimit=nproc=4096:4096",
)
PROBE = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
def refuses(path):
    try:
        open(path, "w").close()
    except OSError as error:
        return error.strerror
limits = [path for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes") if os.path.exists(path)]
print(json.dumps({
    "memory": int(open(limits[0]).read()),
    "ids": [os.getuid(), os.getgid()], "capabilities": int(status["CapBnd"], 16) | int(status["CapEff"], 16), "no_new_privileges": int(status["NoNewPrivs"]),
    "root": refuses("/nope"), "program": refuses("/opt/worker/nope"), "state": refuses("/var/lib/worker/probe"),
}))
"""


@pytest.fixture(scope="module")
def image() -> str:
    """Built by what is in the tree now; layers that did not change come from the cache."""
    deploy_kit.need("buildah", "podman", "crun", "mmdebstrap", "unshare")
    base = deploy_kit.root_tar("base", ("python3", "python3-venv", "ca-certificates"))
    if subprocess.run([*PODMAN, "image", "exists", BASE]).returncode:
        deploy_kit.run(*PODMAN, "import", "-q", base, BASE)
    deploy_kit.build_wheel()
    # of this machine: its package index may have its own
    certificates = "--volume=/etc/ssl/certs:/etc/ssl/certs:ro"
    arguments = (
        f"--build-arg=BASE={BASE}",
        f"--build-arg=BUILDER={BASE}",
        "--file=deploy/container/Dockerfile",
        f"--tag={IMAGE}",
    )
    deploy_kit.run(
        "buildah",
        *STORE,
        "bud",
        "--isolation=chroot",
        "--format=docker",
        "--layers",
        "--network=host",
        certificates,
        *arguments,
        ".",
    )
    return IMAGE


@dataclass(slots=True)
class Site:
    """Where containers of one test run: a directory with the config, the volume, and a name."""

    directory: Path
    name: str

    @property
    def volume(self) -> Path:
        return self.directory / "volume"

    async def start(
        self, *arguments: str, options: tuple[str, ...] = ()
    ) -> asyncio.subprocess.Process:
        """`podman run`: its exit code is the program's."""
        mounts = (
            f"--volume={self.volume}:/var/lib/worker",
            f"--volume={self.directory / 'etc'}:/etc/worker:ro",
        )
        command = (
            *ALONE,
            *PODMAN,
            "run",
            "--pull=never",
            "--rm",
            "--name",
            self.name,
            "--network=host",
            *HARDENED,
            *mounts,
            *options,
            IMAGE,
            *arguments,
        )
        # where it runs, conmon leaves a file `oom`
        return await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.directory
        )

    async def run(self, *arguments: str, options: tuple[str, ...] = ()) -> str:
        """What a container said that must exit 0."""
        process = await self.start(*arguments, options=options)
        output, _ = await asyncio.wait_for(process.communicate(), 120)
        assert process.returncode == 0, output.decode()[-3000:]
        return output.decode()


@pytest.fixture
def site(image: str, tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, f"worker-deploy-test-{os.getpid()}")
    site.volume.mkdir(mode=0o700)
    os.chown(site.volume, OWNER, OWNER)
    (tmp_path / "etc").mkdir()
    yield site
    subprocess.run([*PODMAN, "rm", "--force", "--ignore", site.name], capture_output=True)


async def test_the_container_is_as_restricted_as_the_options_say(site: Site) -> None:
    said = json.loads(await site.run("-c", PROBE, options=("--entrypoint=python",)))
    read_only = "Read-only file system"
    assert said == {
        "ids": [OWNER, OWNER], "capabilities": 0, "no_new_privileges": 1, "memory": MEMORY, "root": read_only, "program": read_only, "state": None
    }  # fmt: skip


@pytest.mark.fault(18, by="a container of 128 MiB")
async def test_the_limit_of_memory_is_enforced(site: Site) -> None:
    process = await site.start("-c", f"bytearray({2 * MEMORY})", options=("--entrypoint=python",))
    assert await asyncio.wait_for(process.wait(), 60) == 137


async def test_records_land_on_the_volume_once(site: Site) -> None:
    records = [kit.item(number, second=number, bad=number == 7) for number in range(95)]
    async with Replica(records, deploy_kit.SHAPE) as replica:
        deploy_kit.write_config(site.directory / "etc", replica.url)
        await site.run("run", "--once", "/etc/worker/worker.yaml")
        expected = [number for number in range(95) if number != 7]
        assert kit.lake_ids(site.volume) == expected
        files = kit.published(site.volume)
        assert {path.stat().st_uid for path in files} == {OWNER}
        asked = len(replica.requests)
        await site.run("run", "--once", "/etc/worker/worker.yaml")
        assert len(replica.requests) > asked
        assert kit.published(site.volume) == files
        assert (await site.run("verify", "/etc/worker/worker.yaml")).endswith("\nok\n")


async def test_a_stop_drains_what_the_daemon_holds(site: Site) -> None:
    def third_page_hangs(number: int, seen: Seen) -> Fault | None:
        return Fault("stall") if number >= 3 else None

    records = [kit.item(number, second=number) for number in range(60)]
    port = kit.free_port()
    async with Replica(records, deploy_kit.SHAPE, third_page_hangs) as replica:
        deploy_kit.write_config(site.directory / "etc", replica.url, sink={"path": "lake"})
        daemon = await site.start(options=(f"--env=WORKER_ADMIN__LISTEN=127.0.0.1:{port}",))
        await deploy_kit.until("the third request", lambda: len(replica.requests) >= 3)
        assert kit.lake_ids(site.volume) == []
        healthy = await asyncio.create_subprocess_exec(
            *ALONE, *PODMAN, "healthcheck", "run", site.name
        )
        assert await healthy.wait() == 0
        began = time.monotonic()
        stop = await asyncio.create_subprocess_exec(*ALONE, *PODMAN, "stop", "--time=90", site.name)
        output, _ = await asyncio.wait_for(daemon.communicate(), 100)
        assert (daemon.returncode, await stop.wait()) == (0, 0), output.decode()[-3000:]
        print(f"stopped in {time.monotonic() - began:.1f} s")
        assert kit.lake_ids(site.volume) == list(range(20))
        replica.script = None
        await site.run("run", "--once", "/etc/worker/worker.yaml")
        assert kit.lake_ids(site.volume) == list(range(60))
