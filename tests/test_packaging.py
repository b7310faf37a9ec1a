"""What is installed is this program: its name on an index, its version, and the files of its wheel."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import worker

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NAME = "worker-ingest"
LOCKS = ("requirements.lock", "requirements-tools.lock", "deploy/container/requirements.txt")
INSTALLERS = re.compile(
    r"\b(?:pipx?|pip3|uv(?: pip| tool)?|poetry|pdm|uvx)\s+(?:install|add|run|download|wheel)\b(?P<words>[^\n#&;|`]*)"
)
ROOMS = (".ci", ".github", "changelog.d", "configs", "deploy", "docs", "tests", "worker")
TEXTS = (".md", ".py", ".toml", ".yaml", ".yml", ".service", ".sh", ".lock", ".txt")


def texts() -> list[Path]:
    """Every file that a reader may copy a command from, or that a machine installs from."""
    rooms = [ROOT / name for name in ROOMS]
    files = [path for room in rooms for path in room.rglob("*")]
    return [
        path
        for path in (*ROOT.iterdir(), *files)
        if path.is_file() and (path.suffix in TEXTS or not path.suffix)
    ]


def installed_by(text: str) -> set[str]:
    """Names of packages that the commands of a text ask an index for, without versions and extras."""
    words = {
        word.strip("\"'") for found in INSTALLERS.finditer(text) for word in found["words"].split()
    }
    return {re.split(r"[\[=<>~!]", word)[0] for word in words}


@pytest.mark.parametrize(
    "line",
    [
        "sudo /opt/worker/bin/pip install worker            # or a wheel",
        "pip install -q worker",
        "python -m pip install 'worker[snappy]>=0.1'",
        "uv tool install worker==0.1.0",
        "pipx run worker",
    ],
)
def test_an_install_of_the_other_project_is_seen(line: str) -> None:
    assert "worker" in installed_by(line)


def test_no_page_installs_the_other_project_that_has_our_name_on_the_index() -> None:
    wrong = [
        path.relative_to(ROOT)
        for path in texts()
        if path != Path(__file__) and "worker" in installed_by(path.read_text(errors="replace"))
    ]
    assert wrong == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_hashes_names_no_index_and_not_us(lock: str) -> None:
    text = (ROOT / lock).read_text()
    requirements = re.findall(r"^([\w.-]+)==(?:.*\\\n)+.*--hash=sha256:", text, re.M)
    assert len(requirements) == len(re.findall(r"^[\w.-]+==", text, re.M)) > 10
    assert "://" not in text
    assert not {"worker", NAME} & set(requirements)


def test_the_version_is_the_same_everywhere() -> None:
    assert metadata.version(NAME) == worker.__version__ == PROJECT["project"]["version"], (
        "after a new version: touch pyproject.toml and call make again"
    )


def test_the_command_is_that_of_the_distribution() -> None:
    (command,) = metadata.distribution(NAME).entry_points.select(group="console_scripts")
    assert (command.name, command.value) == ("worker", "worker.__main__:main")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of the tree as it is now."""
    directory = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "-q", "--wheel", "--no-isolation", "--outdir", directory],
        cwd=ROOT,
        check=True,
    )
    (path,) = directory.glob("*.whl")
    assert path.name == f"worker_ingest-{worker.__version__}-py3-none-any.whl"
    return zipfile.ZipFile(path)


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "worker").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    information = f"worker_ingest-{worker.__version__}.dist-info/"
    assert {name for name in wheel.namelist() if not name.startswith(information)} == package
    assert f"{information}licenses/LICENSE" in wheel.namelist()
    assert "worker/py.typed" in package
