"""What is installed is this program: its name on an index, its version, and the files of its wheel."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
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
REQUIREMENT = re.compile(
    r"[\w.-]+(?:\[\w,-]+\])?==[^\s;]+(?: ; [^#]+?)?(?:\s+--hash=sha256:[0-9a-f]{64})+"
)
FROM_A_FILE = re.compile(r"\binstall\b.*\s(?:-r|--requirement)[\s=]")
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
    lines = (ROOT / lock).read_text().replace("\\\n", "").splitlines()
    requirements = [line for line in lines if not line.lstrip().startswith("#")]
    assert [line for line in requirements if not REQUIREMENT.fullmatch(line)] == []
    assert len(requirements) > 10
    assert not {"worker", NAME} & {line.partition("==")[0] for line in requirements}


def test_whatever_installs_from_a_lock_demands_its_hashes() -> None:
    commands = [
        (path.relative_to(ROOT), line)
        for path in texts()
        for line in path.read_text(errors="replace").splitlines()
        if FROM_A_FILE.search(line) and path.suffix != ".py"
    ]
    assert len(commands) >= 3
    assert [each for each in commands if "--require-hashes" not in each[1]] == []


def wheel_of(name: str, directory: Path) -> Path:
    """A wheel with nothing in it."""
    path = directory / f"{name}-1.0-py3-none-any.whl"
    information = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(
            f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        file.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{information}/RECORD", "")
    return path


@pytest.mark.thorough  # three environments, of which each takes seconds
@pytest.mark.parametrize(
    ("lock", "is_made"),
    [
        ("lone==1.0 --hash=sha256:{}", True),
        ("lone==1.0 --hash=sha256:{:.0}" + "0" * 64, False),
        ("lone==1.0", False),
    ],
    ids=["its hash", "another hash", "no hash"],
)
def test_an_environment_is_made_of_what_its_lock_names_and_of_nothing_else(
    lock: str, is_made: bool, tmp_path: Path
) -> None:
    digest = hashlib.sha256(wheel_of("lone", tmp_path).read_bytes()).hexdigest()
    (tmp_path / "requirements-tools.lock").write_text(lock.format(digest) + "\n")
    shutil.copy(ROOT / "Makefile", tmp_path)
    made = subprocess.run(
        ["make", "-s", ".venv-tools/.stamp", f"PYTHON={sys.executable}"],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(tmp_path),
            "UV_OFFLINE": "1",
            "UV_FIND_LINKS": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    installed = bool(list(tmp_path.rglob("site-packages/lone-1.0.dist-info")))
    assert (made.returncode == 0, installed) == (is_made, is_made), made.stderr
    assert is_made or "hash" in made.stderr.lower()


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
