"""`make bench`: CPU time a record of whole processes, interleaved with a careful script, counts read from the files."""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import data
from ruamel.yaml import YAML

from worker.schema.container import ContainerReader

HERE = Path(__file__).parent
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}  # an installed program is compiled
PEAK = "import atexit,sys;atexit.register(lambda: sys.stderr.write(next(l for l in open('/proc/self/status') if l.startswith('VmHWM'))));"
WORKER = PEAK + "sys.argv=['worker',*sys.argv[1:]];from worker.cli import main;main()"
CAREFUL = (
    PEAK
    + f"import runpy;sys.argv=['careful',*sys.argv[1:]];runpy.run_path({str(HERE / 'careful.py')!r})"
)

ROWS: dict[str, dict[str, Any]] = {
    "bare": {"pages": "flights"},
    "transforms": {
        "pages": "flights",
        "output_schema": "delay.avsc",
        "transforms": [
            {"filter": "distance > 100 and carrier not in ['XX']"},
            {"rename": {"dest": "destination"}},
            {"set": {"delayed": "dep_delay > 60"}},
            {"mask": {"fields": ["tailnum"], "method": "hash", "key": "bench"}},
        ],
        "sink": {"partition_by": "destination={destination}", "max_open_files": 128},
    },
    "bad": {"pages": "bad"},
    "union": {"pages": "union", "schema": "union.avsc"},
}


PEERS = {  # what counts their records afterwards
    "dlt": "import sys,glob,pyarrow.parquet as p;print(sum(p.ParquetFile(f).metadata.num_rows for f in glob.glob(sys.argv[1]+'/out/bench/flights/*.parquet')))",
    "airbyte": "import sys;print(sum(b'\"type\":\"RECORD\"' in line for line in open(sys.argv[1]+'/out','rb')))",
}


class Run(dict[str, float]):
    """cpu_us, wall_s, peak_mib, records."""


def measure(code: str, arguments: list[str], count: int, output: Path) -> Run:
    """One process from start to end."""
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=ENVIRONMENT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        said = errors.read().decode()
    if process.returncode:
        raise SystemExit(f"exit {process.returncode}: {said}")
    peak = next(int(line.split()[1]) for line in said.splitlines() if line.startswith("VmHWM"))
    cpu = usage.ru_utime + usage.ru_stime
    return Run(cpu_us=cpu / count * 1e6, wall_s=wall, peak_mib=peak / 1024, records=rows_in(output))


def measure_peer(name: str, python: str, url: str, directory: Path, count: int) -> Run:
    """One run of a peer; it writes below `directory`."""
    started = time.perf_counter()
    with (directory / "out" if name == "airbyte" else directory / "log").open("wb") as out:
        process = subprocess.Popen(
            [python, str(HERE / "peers" / f"{name}_peer.py"), url, str(directory)],
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{name}: exit {process.returncode}")
    found = subprocess.run(
        [python, "-c", PEERS[name], str(directory)], capture_output=True, text=True, check=True
    ).stdout
    cpu = usage.ru_utime + usage.ru_stime
    return Run(
        cpu_us=cpu / count * 1e6,
        wall_s=time.perf_counter() - started,
        peak_mib=usage.ru_maxrss / 1024,
        records=int(found),
    )


def rows_in(output: Path) -> int:
    """Records in the files, by their blocks."""
    paths = (
        [output]
        if output.is_file()
        else [path for path in output.rglob("*.avro") if ".worker" not in path.parts]
    )
    total = 0
    for path in paths:
        with path.open("rb") as file:
            total += sum(rows for rows, _ in ContainerReader(file, path.name).blocks())
    return total


def config(directory: Path, url: str, row: dict[str, Any]) -> Path:
    """A config of the row with fresh state and output in `directory`."""
    pipeline = {
        "source": {
            "url": url,
            "params": {"limit": 1000},
            "records": "data.items",
            "pagination": {
                "type": "cursor",
                "from": {"body": "meta.next"},
                "to": {"param": "cursor"},
            },
        },
        "schema": row.get("schema", "flight.avsc"),
        "sink": {"path": str(directory / "lake"), **row.get("sink", {})},
        **{key: row[key] for key in ("transforms", "output_schema") if key in row},
    }
    document = {
        "version": 1,
        "state": {"path": str(directory / "state")},
        "admin": {"listen": None},
        "logging": {"level": "error"},
        "pipelines": {"flights": pipeline},
    }
    for name, schema in (
        ("flight", data.flight_schema()),
        ("union", data.union_schema()),
        ("delay", data.delay_schema()),
    ):
        (directory / f"{name}.avsc").write_text(json.dumps(schema))
    path = directory / "bench.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(document, file)
    return path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument(
        "--peers", metavar="PYTHON", help="also run dlt and Airbyte's CDK with this interpreter"
    )
    options = parser.parse_args()
    chosen = options.rows.split(",")
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        top = Path(name)
        kinds = sorted({ROWS[row]["pages"] for row in chosen} | {"flights"})
        for kind in kinds:
            data.render(top / kind, options.records, kind)
        port_file = top / "port"
        server = subprocess.Popen(
            [
                sys.executable,
                str(HERE / "serve.py"),
                str(port_file),
                *(f"{kind}={top / kind}" for kind in kinds),
            ]
        )
        try:
            while not port_file.exists() or not port_file.read_text():
                time.sleep(0.05)
            url = f"http://127.0.0.1:{port_file.read_text()}"
            subprocess.run(
                [sys.executable, "-c", "import worker.cli.run, worker.wiring"],
                env=ENVIRONMENT,
                check=True,
            )
            starts = start_up(top)
            found = rounds(top, url, chosen, options.rounds, options.records, options.peers)
        finally:
            server.terminate()
            server.wait()
    show(found, options.records)
    wall, cpu = (statistics.median(column) for column in zip(*starts, strict=True))
    print(f"start to first request: {wall:.2f} s, {cpu:.2f} s of CPU (medians of {len(starts)})")


def rounds(
    top: Path, url: str, chosen: list[str], count: int, records: int, peers: str | None
) -> dict[str, list[Run]]:
    """Every row and the careful script, in turn, `count` times."""
    found: dict[str, list[Run]] = {
        name: [] for name in ("careful", *chosen, *(PEERS if peers else ()))
    }
    for _ in range(count):
        with tempfile.TemporaryDirectory(dir=top) as name:
            directory = Path(name)
            config(directory, url, {})
            output = directory / "careful.avro"
            found["careful"].append(
                measure(
                    CAREFUL,
                    [f"{url}/flights", str(directory / "flight.avsc"), str(output)],
                    records,
                    output,
                )
            )
        for row in chosen:
            with tempfile.TemporaryDirectory(dir=top) as name:
                directory = Path(name)
                path = config(directory, f"{url}/{ROWS[row]['pages']}", ROWS[row])
                found[row].append(
                    measure(WORKER, ["run", str(path), "--once"], records, directory / "lake")
                )
        for peer in PEERS if peers else ():
            with tempfile.TemporaryDirectory(dir=top) as name:
                found[peer].append(
                    measure_peer(peer, peers or "", f"{url}/flights", Path(name), records)
                )
    return found


def start_up(top: Path, times: int = 7) -> list[tuple[float, float]]:
    """(wall, CPU) seconds from the start of a process to its first request."""
    found = []
    body = b'{"data": {"items": []}, "meta": {}}'
    for _ in range(times):
        with (
            tempfile.TemporaryDirectory(dir=top) as name,
            socket.create_server(("127.0.0.1", 0)) as server,
        ):
            path = config(Path(name), f"http://127.0.0.1:{server.getsockname()[1]}/", {})
            started = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "worker", "run", str(path), "--once"],
                stdout=subprocess.DEVNULL,
                env=ENVIRONMENT,
            )
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                wall = time.perf_counter() - started
                ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
                found.append((wall, (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")))
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                    % (len(body), body)
                )
                process.wait()
    return found


def show(found: dict[str, list[Run]], records: int) -> None:
    """Medians, spread and ratios."""
    base = statistics.median(run["cpu_us"] for run in found["careful"])
    print(
        f"{'row':12}{'records/s':>12}{'CPU us/rec':>12}{'spread':>16}{'peak MiB':>10}{'in files':>10}{'x careful':>10}"
    )
    for name, runs in found.items():
        cpu = [run["cpu_us"] for run in runs]
        middle = statistics.median(cpu)
        speed = records / statistics.median(run["wall_s"] for run in runs)
        peak = max(run["peak_mib"] for run in runs)
        print(
            f"{name:12}{speed:12,.0f}{middle:12.2f}{f'{min(cpu):.2f}-{max(cpu):.2f}':>16}{peak:10.0f}{int(runs[0]['records']):10,}{base / middle:10.2f}"
        )


if __name__ == "__main__":
    main()
