"""`worker status`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from worker.cli import CONFIGS, STUCK_S
from worker.core.errors import ConfigError, Exit
from worker.runtime.streams import say


@click.command("status")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as /status gives it.")
def command(config: tuple[Path, ...], as_json: bool) -> int:
    """Ask the worker that runs with CONFIG how its pipelines are. Exit 0 when it is ready, 1 when it is not, 69 when nobody answers."""
    import urllib.request
    from urllib.error import HTTPError, URLError

    import orjson

    from worker.settings import load_settings

    listen = load_settings(config).admin.listen
    if listen is None:
        raise ConfigError(
            "admin.listen is null: nobody can be asked", remedy="set admin.listen to host:port"
        )
    host, _, port = listen.rpartition(":")
    base = f"http://{'127.0.0.1' if host.strip('[]') in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104  # asked, not bound
    try:
        with urllib.request.urlopen(f"{base}/status", timeout=5) as answer:  # noqa: S310  # the scheme is ours
            status: Any = orjson.loads(answer.read())
            if not isinstance(status, dict) or "pipelines" not in status:
                raise ValueError("its /status names no pipelines")
        ready = _ready(f"{base}/healthz/ready")
    except (HTTPError, ValueError) as error:
        say(f"what answers at {base} is no worker: {error}\n", wait_s=STUCK_S)
        return int(Exit.UNAVAILABLE)
    except (URLError, OSError) as error:
        say(f"nobody answers at {base}: {getattr(error, 'reason', error)}\n", wait_s=STUCK_S)
        return int(Exit.UNAVAILABLE)
    if as_json:
        click.echo(orjson.dumps(status))
    else:
        for name, each in status["pipelines"].items():
            click.echo("\n".join(lines(name, each)))
        click.echo("ready" if ready else "not ready")
    return int(Exit.OK if ready else Exit.FAILED)


def lines(name: str, now: dict[str, Any]) -> list[str]:
    """A pipeline for people: how it is, what it did, what holds it back, what went wrong last."""
    if "records" not in now:  # it could not start yet
        return [f"{name}: {now['state']}: {now['reason']}"]
    source = now.get("source", {})
    held = [f"breaker {source['breaker']}"] if source.get("breaker", "closed") != "closed" else []
    held += (
        [f"the source asked for a pause of {source['gate_opens_in_s']:.0f} s more"]
        if source.get("gate_opens_in_s")
        else []
    )
    held += (
        [f"{now['parked_count']} of {now['partitions']} partitions parked"]
        if now["parked_count"]
        else []
    )
    found = [f"{name}: {now['state']}" + (f", {'; '.join(held)}" if held else "")]
    waiting = (
        f"{now['in_flight']} not durable, the oldest for {now['oldest_undurable_s']:.1f} s"
        if now["in_flight"]
        else "nothing waits"
    )
    found.append(
        f"  {now['records']} records, {now['rejects']} rejects, {now['files']} files in {now['commits']} commits; {waiting}"
    )
    if now["lag_s"] is not None:
        found.append(f"  the mark is {now['lag_s']:.0f} s behind now")
    busy = {stage: times["busy"] for stage, times in now["stages"].items()}
    if sum(busy.values()) > 1:
        found.append(
            "  seconds busy: "
            + ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in busy.items())
        )
    found += [
        f"  parked: {partition}: {each['reason']}" for partition, each in now["parked"].items()
    ]
    if unknown := source.get("unknown_fields"):
        found.append(f"  fields that the schema lacks: {', '.join(sorted(unknown)[:10])}")
    for each in now["troubles"]:
        what = each.get("reason") or each.get("detail") or each.get("field") or ""
        found.append(
            f"  {datetime.fromtimestamp(each['at'], UTC):%Y-%m-%d %H:%M:%SZ} {each['event']} {each['times']} times: {what}"
        )
    return found


def _ready(url: str) -> bool:
    import urllib.request
    from urllib.error import HTTPError

    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310  # the scheme is ours
            return True
    except HTTPError:
        return False
