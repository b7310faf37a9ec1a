"""Makes the states of earlier formats with the landed code that wrote them.

    python tests/state/formats/make.py TREE NAME

TREE is a checkout of a commit. Its pipeline is run against today's replica, killed where each case
says, and what it left goes into `landed/NAME-<case>.json`: state as SQL, files as base64.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CASES = {"ended": ("", 0), "staged": ("before", 3), "committed": ("after", 3)}
"""Where the process is killed: before or after the COMMIT of the n-th commit."""
RECORDS = 40
SOURCE: dict[str, Any] = {
    "params": {"tenant": "{partition.tenant}"},
    "partitions": {"tenant": ["a", "b", "c"]},
    "key": ["id"],
    "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}},
    "incremental": {"field": "updated_at", "param": "since"},
}
SINK: dict[str, Any] = {
    "partition_by": "region={region}",
    "max_open_files": 2,
    "codec": "deflate",
    "roll": {"records": 8},
}


def die_at(when: str, number: int) -> None:
    """Kills this process before or after the COMMIT of a transaction that made a commit."""

    class Connection(sqlite3.Connection):
        made = 0
        making = False

        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            if sql.startswith("INSERT INTO commits"):
                self.making = True
            dies = sql == "COMMIT" and self.making and Connection.made + 1 == number
            if dies and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = super().execute(sql, *args)
            if sql == "COMMIT" and self.making:
                Connection.made, self.making = Connection.made + 1, False
                if dies:
                    os.kill(os.getpid(), signal.SIGKILL)
            return result

    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **options: connect(  # type: ignore[assignment]
        *args, factory=Connection, **options
    )


def run_landed(config: str, when: str, number: int) -> None:
    """In a process whose path has the checkout first."""
    import runpy

    die_at(when, number)
    sys.argv = ["worker", "run", "--once", config]
    runpy.run_module("worker", run_name="__main__")


async def made(tree: Path, directory: Path, when: str, number: int) -> dict[str, Any]:
    """What a run leaves."""
    import kit

    from worker.testing.replica import Replica, Shape

    records = [kit.item(each, second=each // 2, bad=each % 11 == 5) for each in range(RECORDS)]
    shape = Shape(style="cursor", cap=4, since="since", filters=("tenant",))
    async with Replica(records, shape) as replica:
        config = kit.write_config(directory, replica.url, source=SOURCE, sink=SINK)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, "--landed", str(config), when, str(number)),
            env={**os.environ, "PYTHONPATH": str(tree)},
            cwd=tree,
        )
        print(when or "ended", await process.wait())
    with closing(sqlite3.connect(directory / "state/state.db")) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        script = "\n".join((*db.iterdump(), f"PRAGMA user_version = {version};"))
    files = {
        str(path.relative_to(directory)): base64.b64encode(path.read_bytes()).decode()
        for top in ("lake", "state/dead_letters")
        for path in sorted((directory / top).rglob("*"))
        if path.is_file()
    }
    return {"directory": str(directory), "state": script, "files": files}


def main(tree: Path, name: str) -> None:
    commit = subprocess.check_output(("git", "rev-parse", "HEAD"), cwd=tree, text=True).strip()
    for case, (when, number) in CASES.items():
        directory = Path("/landed", f"{name}-{case}")  # digests cover it
        directory.mkdir(parents=True)
        found = asyncio.run(made(tree, directory, when, number))
        shutil.rmtree(directory)
        text = json.dumps({"commit": commit, **found}, indent=1)
        (HERE / "landed" / f"{name}-{case}.json").write_text(f"{text}\n")


if __name__ == "__main__":
    if sys.argv[1] == "--landed":
        run_landed(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        sys.path.insert(0, str(HERE.parents[1]))
        main(Path(sys.argv[1]).resolve(), sys.argv[2])
