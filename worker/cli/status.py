"""`worker status`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from worker.core.errors import ConfigError, Exit


@click.command("status")
@click.argument("config", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as /status gives it.")
def command(config: tuple[Path, ...], as_json: bool) -> int:
    """Ask the worker that runs with CONFIG how its pipelines are. Exit 0 when it is ready, 1 when it is not, 69 when nobody answers."""
    import urllib.request
    from urllib.error import URLError

    import orjson

    from worker.settings import load_settings

    listen = load_settings(config).admin.listen
    if listen is None:
        raise ConfigError("admin.listen is null: nobody can be asked", remedy="set admin.listen to host:port")
    host, _, port = listen.rpartition(":")
    base = f"http://{'127.0.0.1' if host.strip('[]') in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104  # asked, not bound
    try:
        with urllib.request.urlopen(f"{base}/status", timeout=5) as answer:  # noqa: S310  # the scheme is ours
            status: dict[str, Any] = orjson.loads(answer.read())
        ready = _ready(f"{base}/healthz/ready")
    except (URLError, OSError, ValueError) as error:
        click.echo(f"nobody answers at {base}: {getattr(error, 'reason', error)}", err=True)
        return int(Exit.UNAVAILABLE)
    if as_json:
        click.echo(orjson.dumps(status))
    else:
        for name, each in status["pipelines"].items():
            facts = ", ".join(f"{key} {value}" for key, value in each.items() if isinstance(value, int | float | str) and key != "state")
            click.echo(f"{name}: {each['state']}; {facts}")
            for partition, parked in each.get("parked", {}).items():
                click.echo(f"  parked: {partition}: {parked['reason']}")
        click.echo("ready" if ready else "not ready")
    return int(Exit.OK if ready else Exit.FAILED)


def _ready(url: str) -> bool:
    import urllib.request
    from urllib.error import HTTPError

    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310  # the scheme is ours
            return True
    except HTTPError:
        return False
