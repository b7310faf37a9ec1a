"""`worker status`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from worker.cli import CONFIGS, STUCK_S
from worker.core.errors import ConfigError, Exit
from worker.runtime.streams import say

ASK_S: Final = 5
"""How long the worker may take to answer."""
SHOWN_FIELDS: Final = 10


class _NoAnswerError(Exception):
    """There is no worker at the address."""


USED_UP = 0.95
"""Of a rate limit: the next request may have to wait."""


@click.command("status")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as /status gives it.")
def command(config: tuple[Path, ...], as_json: bool) -> int:
    """Ask the worker that runs with CONFIG how its pipelines are.

    Exit 0 when it is ready, 1 when it is not, 69 when nobody answers.
    """
    import orjson

    from worker.settings import load_settings

    listen = load_settings(config).admin.listen
    if listen is None:
        raise ConfigError(
            "admin.listen is null, so the worker cannot be asked",
            remedy="set admin.listen to host:port",
        )
    try:
        status, ready = _ask(_base(listen))
    except _NoAnswerError as error:
        say(f"{error}\n", wait_s=STUCK_S)
        return int(Exit.UNAVAILABLE)
    if as_json:
        click.echo(orjson.dumps(status))
    else:
        for name, each in status["pipelines"].items():
            click.echo("\n".join(lines(name, each)))
        click.echo("ready" if ready else "not ready")
    return int(Exit.OK if ready else Exit.FAILED)


def _base(listen: str) -> str:
    """The URL at which a worker that listens here is reached."""
    host, _, port = listen.rpartition(":")
    everywhere = host.strip("[]") in ("0.0.0.0", "::")  # noqa: S104  # asked, not bound
    return f"http://{'127.0.0.1' if everywhere else host}:{port}"


def _ask(base: str) -> tuple[dict[str, Any], bool]:
    """The document of /status, and whether the worker is ready. Raises _NoAnswerError."""
    import urllib.request
    from urllib.error import HTTPError, URLError

    import orjson

    try:
        with urllib.request.urlopen(f"{base}/status", timeout=ASK_S) as answer:  # noqa: S310
            status: Any = orjson.loads(answer.read())
        if not isinstance(status, dict) or "pipelines" not in status:
            raise ValueError("its /status names no pipelines")
        return status, _is_ready(base)
    except (HTTPError, ValueError) as error:
        raise _NoAnswerError(f"what answers at {base} is no worker: {error}") from error
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise _NoAnswerError(f"nobody answers at {base}: {reason}") from error


def _is_ready(base: str) -> bool:
    import urllib.request
    from urllib.error import HTTPError

    try:
        with urllib.request.urlopen(f"{base}/healthz/ready", timeout=ASK_S):  # noqa: S310
            return True
    except HTTPError:
        return False


def lines(name: str, now: dict[str, Any]) -> list[str]:
    """A pipeline of /status for people.

    The lines say how it is and what holds it back, what it did, and what went wrong last.
    """
    if "records" not in now:  # it has not started yet
        return [f"{name}: {now['state']}: {now['reason']}"]
    source = now.get("source", {})
    held_back = "; ".join(_held_back(now, source))
    return [
        f"{name}: {now['state']}" + (f", {held_back}" if held_back else ""),
        _counts(now),
        *_times(now),
        *(f"  parked: {partition}: {each['reason']}" for partition, each in now["parked"].items()),
        *_unknown_fields(source),
        *map(_trouble, now["troubles"]),
    ]


def _held_back(now: dict[str, Any], source: dict[str, Any]) -> Iterator[str]:
    """What keeps a pipeline from reading."""
    if source.get("breaker", "closed") != "closed":
        yield f"breaker {source['breaker']}"
    if pause_s := source.get("gate_opens_in_s"):
        yield f"the source asked for a pause of {pause_s:.0f} s more"
    for limit, each in source.get("rate_limits", {}).items():
        if each["used"] >= each["allowed"] * USED_UP:
            yield f"the rate limit of {limit} is used up"
    if now["parked_count"]:
        yield f"{now['parked_count']} of {now['partitions']} partitions parked"


def _counts(now: dict[str, Any]) -> str:
    waiting = "nothing waits"
    if now["in_flight"]:
        oldest_s = now["oldest_undurable_s"]
        waiting = f"{now['in_flight']} not durable, the oldest for {oldest_s:.1f} s"
    return (
        f"  {now['records']} records, {now['rejects']} rejects, "
        f"{now['files']} files in {now['commits']} commits; {waiting}"
    )


def _times(now: dict[str, Any]) -> Iterator[str]:
    if now["lag_s"] is not None:
        yield f"  the mark is {now['lag_s']:.0f} s behind now"
    busy = {stage: times["busy"] for stage, times in now["stages"].items()}
    if sum(busy.values()) > 1:
        shown = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in busy.items())
        yield f"  seconds busy: {shown}"


def _unknown_fields(source: dict[str, Any]) -> Iterator[str]:
    if unknown := source.get("unknown_fields"):
        shown = ", ".join(sorted(unknown)[:SHOWN_FIELDS])
        yield f"  fields that the schema lacks: {shown}"


def _trouble(each: dict[str, Any]) -> str:
    """One kind of warning or error, with the last time that it came."""
    at = f"{datetime.fromtimestamp(each['at'], UTC):%Y-%m-%d %H:%M:%SZ}"
    what = each.get("reason") or each.get("detail") or each.get("field") or ""
    return f"  {at} {each['event']} {each['times']} times: {what}"
