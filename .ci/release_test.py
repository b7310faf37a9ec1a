"""Release to an index on loopback and install from it: `release_test.py DIST [INDEX]`, usually as
`make release-test`.

The steps are those of .github/workflows/release.yml with its indexes replaced: check, upload,
install with hashes into an environment that has nothing else, run the demo. What needs the identity
of a workflow, trusted publishing and attestations, is left out. With INDEX, the address of an index
that has the files already, only the second half is done.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pypiserver

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "deploy" / "container" / "requirements.txt"


class Quiet(WSGIRequestHandler):
    """A handler that does not log requests."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


@contextmanager
def index(packages: Path) -> Iterator[str]:
    """The address of a package index over a directory, which takes uploads from anyone on this
    machine.
    """
    application = pypiserver.app(
        roots=[packages],
        authenticate=[],
        password_file=".",  # noqa: S106  "." is its word for no passwords
        disable_fallback=True,  # what it lacks must not come from elsewhere
    )
    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, name="index").start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def requirement(wheel: Path) -> str:
    """The line that asks for exactly this wheel."""
    name, version = wheel.name.split("-")[:2]
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"{name.replace('_', '-')}=={version} --hash=sha256:{digest}\n"


def run(*command: str | Path, **environment: str) -> str:
    """Standard output of a command that must succeed; its errors are shown as they come."""
    print("+", *(re.sub(r"^/.*/", "", str(part)) for part in command), flush=True)
    return subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=environment.pop("cwd", None),
        env={**os.environ, **environment},
    ).stdout


def upload(files: list[Path], url: str) -> None:
    """Check the metadata of what was built, and send it to an index."""
    twine = Path(sys.executable).parent / "twine"
    run(twine, "check", "--strict", *files)
    run(
        *(twine, "upload", "--non-interactive", "--disable-progress-bar"),
        *("--repository-url", f"{url}/", "--username=any", "--password=any", *files),
    )


def install_and_use(wheel: Path, url: str) -> None:
    """Install from an index exactly what the wheel holds, without what the index may say of
    dependencies; run the demo.
    """
    with TemporaryDirectory() as scratch:
        wanted = Path(scratch, "worker.txt")
        wanted.write_text(requirement(wheel))
        venv.create(f"{scratch}/venv", with_pip=True)
        pip = (f"{scratch}/venv/bin/python", "-m", "pip", "--disable-pip-version-check")
        install = (*pip, "install", "--quiet", "--require-hashes")
        run(*install, "--requirement", REQUIREMENTS)
        run(
            *(*install, "--no-deps", "--no-cache-dir", "--requirement", wanted),
            *("--index-url", f"{url}/simple/"),
            PIP_FIND_LINKS="",  # from there and from nowhere else
        )
        run(*pip, "check")
        worker = f"{scratch}/venv/bin/worker"
        print(run(worker, "--version"), run(worker, "demo", cwd=scratch), sep="")


def main(dist: str, url: str = "") -> None:
    """Upload what is in `dist` to an index on loopback and use it from there, or use it from an
    index that has it.
    """
    files = sorted(Path(dist).resolve().glob("worker_ingest-*"))
    (wheel,) = (file for file in files if file.suffix == ".whl")
    if url:
        install_and_use(wheel, url.removesuffix("/").removesuffix("/simple"))
        return
    with TemporaryDirectory() as packages, index(Path(packages)) as loopback:
        upload(files, loopback)
        install_and_use(wheel, loopback)


if __name__ == "__main__":
    main(*sys.argv[1:])
