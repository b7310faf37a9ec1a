"""`worker check` as people and machines run it: a process, its two streams, its exit code."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from config.conftest import RIGHT, SCHEMA


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "item.avsc").write_text(json.dumps(SCHEMA))
    (tmp_path / "right.yaml").write_text(RIGHT)
    (tmp_path / "wrong.yaml").write_text(
        RIGHT.replace("lake}", "lake, codec: lz4}").replace("item.avsc", "itm.avsc") + "nmae: x\n"
    )
    return tmp_path


def worker(directory: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", **environ}
    return subprocess.run(
        [sys.executable, "-m", "worker", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )


def test_a_right_config_says_what_it_promises_and_leaves_nothing_behind(directory: Path) -> None:
    before = sorted(directory.rglob("*"))
    done = worker(directory, "check", "right.yaml")
    assert done.returncode == 0 and done.stderr == ""
    assert "delivery: exactly_once" in done.stdout and "completeness: assumed" in done.stdout
    assert sorted(directory.rglob("*")) == before


def test_a_right_config_is_a_list_of_promises_in_json(directory: Path) -> None:
    [promise] = json.loads(worker(directory, "check", "right.yaml", "--json").stdout)
    assert (promise["pipeline"], promise["delivery"], promise["completeness"]) == (
        "items",
        "exactly_once",
        "assumed",
    )


def test_a_wrong_config_ends_with_78_and_every_place_on_stderr(directory: Path) -> None:
    done = worker(directory, "check", "wrong.yaml")
    assert done.returncode == 78 and done.stdout == "" and "Traceback" not in done.stderr
    places = [
        "wrong.yaml:6: pipelines.items.schema",
        "wrong.yaml:7: pipelines.items.sink.codec",
        "wrong.yaml:8: nmae",
    ]
    assert [place for place in places if place in done.stderr] == places


def test_a_wrong_config_is_a_list_of_problems_in_json(directory: Path) -> None:
    done = worker(directory, "check", "wrong.yaml", "--json")
    problems = json.loads(done.stdout)
    assert done.returncode == 78 and [
        (each["code"], each["file"], each["line"], each["key"]) for each in problems
    ] == [
        ("schema", "wrong.yaml", 6, "pipelines.items.schema"),
        ("not_allowed", "wrong.yaml", 7, "pipelines.items.sink.codec"),
        ("unknown_key", "wrong.yaml", 8, "nmae"),
    ]
    assert all(
        set(each) == {"code", "file", "line", "key", "found", "allowed", "remedy"}
        for each in problems
    )


def test_a_single_problem_has_its_own_lines_for_place_and_remedy(directory: Path) -> None:
    done = worker(directory, "check", "right.yaml", WORKER_NAEM="x")
    assert done.returncode == 78
    assert (
        "  where:  environment: WORKER_NAEM\n" in done.stderr
        and "did you mean 'NAME'?" in done.stderr
    )


def test_run_refuses_a_wrong_config_in_the_same_words(directory: Path) -> None:
    done = worker(directory, "run", "wrong.yaml", "--once")
    assert (
        done.returncode == 78
        and "wrong.yaml:7: pipelines.items.sink.codec" in done.stderr
        and "wrong.yaml:8: nmae" in done.stderr
    )


def test_an_output_without_permission_is_a_problem(directory: Path) -> None:
    """As another user than root, whom no mode keeps out."""
    locked = directory / "locked"
    locked.mkdir(mode=0o500)
    (directory / "right.yaml").write_text(RIGHT.replace("path: lake", "path: locked/lake"))
    for each in (directory, *directory.parents):
        if each.stat().st_mode & 0o005 != 0o005 and str(each).startswith("/tmp/"):
            each.chmod(0o755)
    probe = (
        "import os; from pathlib import Path; from worker.cli.check import examine; "
        "files = [Path('right.yaml')]; "
        "examine(files); "  # imports all that the next one needs, which may read no module
        "os.geteuid() or os.setuid(65534); print(*examine(files)[0], sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=directory, capture_output=True, text=True, timeout=60
    )
    assert (
        "right.yaml:7: pipelines.items.sink.path: "
        "locked/lake cannot be written for the output: no permission" in done.stdout
    ), done


def test_without_a_config_the_usage_is_shown(directory: Path) -> None:
    done = worker(directory, "check")
    assert done.returncode == 64 and "CONFIG" in done.stderr


@pytest.mark.skipif(shutil.which("script") is None, reason="script(1) makes the terminal")
def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(directory: Path) -> None:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-passout",
        "pass:hunter",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-subj",
        "/CN=me",
    ]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    text = (
        (directory / "right.yaml")
        .read_text()
        .replace('items"}', 'items", tls: {cert_file: cert.pem, key_file: key.pem}}')
    )
    (directory / "right.yaml").write_text(text)
    check = shlex.join([sys.executable, "-m", "worker", "check", "right.yaml"])
    done = subprocess.run(
        ["script", "-qec", check, "/dev/null"],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 78
    assert "pass phrase" not in done.stdout and "has no password" in done.stdout
