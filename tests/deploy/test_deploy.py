"""What is shipped to run the program: the parts agree with each other, and the tools that know them
agree with the parts.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import deploy_kit
import kit
import pytest
from ruamel.yaml import YAML

from worker.settings import ShutdownConfig, load_settings
from worker.testing.replica import Replica, Shape

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "systemd" / "worker.service"
KUBERNETES = DEPLOY / "kubernetes"


def unit() -> dict[str, str]:
    return dict(
        line.split("=", 1)
        for line in UNIT.read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )


def manifest(name: str) -> Any:
    return YAML(typ="safe").load(KUBERNETES / name)


def pod() -> Any:
    return manifest("statefulset.yaml")["spec"]["template"]["spec"]


def test_there_is_time_to_drain_everywhere() -> None:
    deadline = ShutdownConfig().deadline
    assert int(unit()["TimeoutStopSec"]) >= 2 * deadline
    assert pod()["terminationGracePeriodSeconds"] >= 2 * deadline


def test_the_pod_is_restricted() -> None:
    assert pod()["securityContext"]["runAsNonRoot"]
    assert pod()["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod()["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod()["automountServiceAccountToken"]


def test_probes_ports_and_mounts_agree_with_the_image() -> None:
    dockerfile = (DEPLOY / "container" / "Dockerfile").read_text()
    (container,) = pod()["containers"]
    assert {
        probe: container[f"{probe}Probe"]["httpGet"]["path"]
        for probe in ("startup", "liveness", "readiness")
    } == {
        "startup": "/healthz/started",
        "liveness": "/healthz/live",
        "readiness": "/healthz/ready",
    }
    port = container["ports"][0]["containerPort"]
    assert f"WORKER_ADMIN__LISTEN=0.0.0.0:{port}" in dockerfile
    state = re.search(r"STATE_DIRECTORY=(\S+)", dockerfile)
    assert state is not None
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {state[1], container["env"][0]["value"], "/etc/worker"} <= mounts
    assert (
        f"USER {pod()['securityContext']['runAsUser']}:{pod()['securityContext']['runAsGroup']}"
        in dockerfile
    )


def test_the_example_config_of_the_cluster_is_a_config() -> None:
    settings = load_settings([KUBERNETES / "worker.yaml"])
    assert list(settings.pipelines) == ["flights"]
    assert (KUBERNETES / "flight.avsc").read_bytes() == (
        Path(__file__).parents[2] / "worker" / "demo" / "flight.avsc"
    ).read_bytes()


def test_the_requirements_of_the_image_are_those_of_the_lock() -> None:
    lock = (Path(__file__).parents[2] / "requirements.lock").read_text()
    pinned = re.findall(
        r"^([\w.-]+==[^ \\]+)", (DEPLOY / "container" / "requirements.txt").read_text(), re.M
    )
    assert pinned
    assert [each for each in pinned if each not in lock] == []


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
def test_systemd_has_nothing_to_say_about_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / "worker.service"
    copy.write_text(UNIT.read_text().replace("/opt/worker/bin/worker", "/bin/true"))
    found = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    found = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(copy)],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout[-300:]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_renders_and_every_selector_is_set() -> None:
    found = subprocess.run(
        ["kubectl", "kustomize", str(KUBERNETES)], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    documents = {each["kind"]: each for each in YAML(typ="safe").load_all(found.stdout)}
    assert set(documents) == {
        "ServiceAccount",
        "ConfigMap",
        "Service",
        "StatefulSet",
        "PodDisruptionBudget",
        "NetworkPolicy",
    }
    label = {"app.kubernetes.io/name": "worker"}
    assert documents["Service"]["spec"]["selector"] == label
    assert documents["StatefulSet"]["spec"]["selector"]["matchLabels"] == label
    assert documents["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == label
    assert documents["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == label
    assert documents["StatefulSet"]["spec"]["template"]["spec"]["volumes"][0]["configMap"][
        "name"
    ].startswith("worker-config-")


@pytest.mark.deploy
@pytest.mark.parametrize("version", ["1.29", "1.33"])
def test_clusters_know_every_key_of_the_manifests(version: str, tmp_path: Path) -> None:
    deploy_kit.need("kubectl", "kubernetes-validate", root=False)
    rendered = tmp_path / "all.yaml"
    rendered.write_text(deploy_kit.run("kubectl", "kustomize", KUBERNETES))
    deploy_kit.run("kubernetes-validate", "--strict", "--kubernetes-version", version, rendered)


@pytest.mark.parametrize("abstract", [False, True])
async def test_the_service_manager_hears_ready_alive_and_stopping(
    abstract: bool, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        name = f"\0worker-test-{tmp_path.name}" if abstract else str(tmp_path / "notify")
        manager.bind(name)
        manager.settimeout(10)
        source = {
            "pagination": {
                "type": "cursor",
                "from": {"body": "meta.next"},
                "to": {"param": "cursor"},
            },
            "schedule": {"every": "1h"},
        }
        async with Replica([kit.item(1, second=1)], Shape(style="cursor")) as replica:
            config = kit.write_config(tmp_path, replica.url, source=source)
            environment = {
                "NOTIFY_SOCKET": "@" + name[1:] if abstract else name,
                "WATCHDOG_USEC": "200000",
                "PATH": "/usr/bin:/bin",
            }
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "worker", "run", str(config), env=environment
            )

            async def heard(wanted: str) -> None:
                while wanted not in (await asyncio.to_thread(manager.recv, 4096)).decode():
                    pass

            await heard("READY=1\nSTATUS=1 pipelines")
            for _ in range(3):
                await heard("WATCHDOG=1")
            process.send_signal(signal.SIGTERM)
            await heard("STOPPING=1")
            assert await process.wait() == 0
