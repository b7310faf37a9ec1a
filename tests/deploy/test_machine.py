"""A Debian boots, the unit is installed as docs/how-to/deploy.md says, and systemd runs it: `make
long-deploy`.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import deploy_kit
import kit
import pytest

from worker.testing.replica import Fault, Replica, Seen

pytestmark = pytest.mark.deploy

PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "procps",
    "python3",
    "python3-venv",
    "ca-certificates",
)
DYNAMIC = range(61184, 65520)  # user ids that systemd gives to DynamicUser=
NSPAWN = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit")
INSTALL = """
python3 -m venv /opt/worker
/opt/worker/bin/pip install -q --disable-pip-version-check --require-hashes -r /src/deploy/container/requirements.txt
/opt/worker/bin/pip install -q --disable-pip-version-check --no-deps /dist/*.whl
install -d /etc/worker/credentials -m 0700
cp /src/deploy/systemd/worker.service /etc/systemd/system/
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """A booted system: its files, and the process that is its first."""

    root: Path
    leader: int

    @property
    def state(self) -> Path:
        """The state directory of a unit with a dynamic user."""
        return self.root / "var/lib/private/worker"

    async def systemctl(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output."""
        inside = (
            "nsenter",
            f"--target={self.leader}",
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--cgroup",
            "--root",
            "--wd",
            "--",
        )
        done = await asyncio.to_thread(
            subprocess.run,
            [*inside, "systemctl", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr

    async def show(self, *names: str) -> dict[str, str]:
        _, said = await self.systemctl("show", "worker", *(f"--property={name}" for name in names))
        return dict(line.split("=", 1) for line in said.splitlines())


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a machine on which the program is installed."""
    deploy_kit.need("systemd-nspawn", "nsenter", "mmdebstrap", "tar")
    tar = deploy_kit.root_tar("machine", PACKAGES)
    directory = tmp_path_factory.mktemp("machine")
    root = directory / "root"
    root.mkdir()
    deploy_kit.run("tar", "-xf", tar, "-C", root)
    binds = (
        "--bind-ro=/etc/ssl/certs",
        f"--bind-ro={deploy_kit.ROOT}:/src",
        f"--bind-ro={deploy_kit.build_wheel()}:/dist",
    )
    deploy_kit.run(*NSPAWN, "--pipe", f"--directory={root}", *binds, "sh", "-ec", INSTALL)
    return root


@pytest.fixture
def machine(installed: Path, tmp_path: Path) -> Iterator[Machine]:
    """Booted; it shares the network of this machine, and may not change it."""
    with (tmp_path / "console").open("wb") as console:
        command = (
            *NSPAWN,
            "--boot",
            "--console=pipe",
            "--machine=worker-deploy-test",
            f"--directory={installed}",
        )
        nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
    try:
        yield asyncio.run(_booted(installed, nspawn))
    finally:
        nspawn.terminate()  # an orderly shutdown
        nspawn.wait(60)


async def _booted(root: Path, nspawn: subprocess.Popen[bytes]) -> Machine:
    children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")
    for _ in range(300):
        await asyncio.sleep(0.1)
        for child in children.read_text().split():
            machine = Machine(root, int(child))
            if (
                Path(f"/proc/{child}/comm").read_text() == "systemd\n"
                and (await machine.systemctl("is-system-running"))[1] == "running\n"
            ):
                return machine
    raise AssertionError("the machine does not boot")


async def test_systemd_starts_drains_and_restarts_the_unit(machine: Machine) -> None:
    def third_page_hangs(number: int, seen: Seen) -> Fault | None:
        return Fault("stall") if number >= 3 else None

    def records() -> list[int]:
        return kit.lake_ids(machine.state)

    token = machine.root / "etc/worker/credentials/token"
    token.write_text("canary")
    async with Replica(
        [kit.item(number, second=number) for number in range(60)],
        deploy_kit.SHAPE,
        third_page_hangs,
    ) as replica:
        auth = {"type": "bearer", "token": {"credential": "secrets_token"}}
        config = deploy_kit.write_config(
            machine.root / "etc/worker", replica.url, auth=auth, sink={"path": "lake"}
        )
        assert (await machine.systemctl("enable", "--now", "worker"))[
            0
        ] == 0  # Type=notify: it waits for READY
        assert (await machine.show("ActiveState", "SubState")) == {
            "ActiveState": "active",
            "SubState": "running",
        }
        assert int((await machine.show("UID"))["UID"]) in DYNAMIC
        await deploy_kit.until("the third request", lambda: len(replica.requests) >= 3)
        assert replica.requests[0].headers["Authorization"] == "Bearer canary"
        assert records() == []
        assert (await machine.systemctl("stop", "worker"))[0] == 0
        assert await machine.show("Result", "ExecMainStatus", "NRestarts") == {
            "Result": "success",
            "ExecMainStatus": "0",
            "NRestarts": "0",
        }
        assert records() == list(range(20))

        asked = len(replica.requests)
        assert (await machine.systemctl("start", "worker"))[0] == 0
        await deploy_kit.until("a request that hangs", lambda: len(replica.requests) > asked)
        replica.script = None
        deploy_kit.write_config(machine.root / "etc/worker", replica.url, auth=auth)
        assert (await machine.systemctl("kill", "--signal=KILL", "worker"))[0] == 0
        await deploy_kit.until("all records after a kill", lambda: records() == list(range(60)))
        assert await machine.show("ActiveState", "NRestarts") == {
            "ActiveState": "active",
            "NRestarts": "1",
        }
        assert (await machine.systemctl("stop", "worker"))[0] == 0

    config.write_text("version: 1\npipelines: {}\nno_such_key: 1\n")
    assert (await machine.systemctl("start", "worker"))[0] != 0
    await asyncio.sleep(5)  # longer than RestartSec
    assert await machine.show("ActiveState", "ExecMainStatus", "NRestarts") == {
        "ActiveState": "failed",
        "ExecMainStatus": "78",
        "NRestarts": "0",
    }
