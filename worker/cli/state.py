"""`worker state show | set | reset`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from worker.cli import CONFIGS
from worker.core.errors import ConfigError

if TYPE_CHECKING:
    from worker.settings import Settings


@click.group("state")
def command() -> None:
    """Show, set or reset how far pipelines have come."""


def _known_partition(settings: Settings, pipeline: str, partition: str) -> None:
    from worker.app import open_log

    log = open_log(settings, read_only=True)
    try:
        names = [str(each["partition"]) for each in log.partitions(pipeline)]
    finally:
        log.close()
    if partition not in names:
        some = (
            f"there are {', '.join(names[:20])}{' and more' if len(names) > 20 else ''}"
            if names
            else "it is there after the first run"
        )
        raise ConfigError(f"pipeline {pipeline} has no partition {partition!r}", remedy=some)


def _mark_text(settings: Settings, pipeline: str) -> Callable[[Any], Any]:
    """What makes a stored mark readable: instants are kept as microseconds."""
    from worker.paging.marks import MarkFormat

    config = settings.pipelines.get(pipeline)
    incremental = None if config is None else config.source.incremental
    if incremental is None or incremental.field is None:
        return lambda mark: mark
    form = MarkFormat(incremental.format.record, zone=incremental.format.zone)
    return lambda mark: None if mark is None else form.text(mark)


@command.command("show")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.option("--pipeline", help="Only this one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(config: tuple[Path, ...], pipeline: str | None, as_json: bool) -> None:
    """Print lineage, last commit and the cursor of each partition. Marks are shown as records carry them, the way that `state set` takes them."""
    import msgspec

    from worker.app import open_log
    from worker.settings import load_settings

    settings = load_settings(config)
    log = open_log(settings, read_only=True)
    try:
        rows = log.pipelines()
        if pipeline is not None and pipeline not in [each["name"] for each in rows]:
            settings.pipeline(
                pipeline
            )  # one that is no more in the config may have state, one that is in it may have none yet
        rows = [each for each in rows if pipeline in (None, each["name"])]
        for each in rows:
            text = _mark_text(settings, each["name"])
            parts = [
                {**part, "cursor": msgspec.json.decode(part["cursor"])}
                for part in log.partitions(each["name"])
            ]
            each["partitions"] = [{**part, "mark": text(part["cursor"]["mark"])} for part in parts]
    finally:
        log.close()
    if as_json:
        click.echo(msgspec.json.encode(rows))
        return
    for each in rows:
        click.echo(f"{each['name']}: lineage {each['lineage']}, commit {each['seq']}")
        for part in each["partitions"]:
            cursor = part["cursor"]
            at = (
                "complete"
                if cursor["complete"]
                else f"pass {cursor['pass']}, mark {part['mark']}, position {cursor['position']}"
            )
            click.echo(f"  {part['partition']}: {at} (epoch {part['epoch']}, commit {part['seq']})")


@command.command("set")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.option("--pipeline", required=True, help="The pipeline.")
@click.option("--partition", default="default", show_default=True, help="The partition.")
@click.option(
    "--mark", required=True, help="The value that the next pass starts at, as records carry it."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def set_mark(config: tuple[Path, ...], pipeline: str, partition: str, mark: str, yes: bool) -> None:
    """Say how far a partition of an incremental pipeline has come. Records from an earlier mark on are read, and written, again."""
    from worker.app import open_log
    from worker.paging.marks import MarkFormat
    from worker.settings import load_settings
    from worker.state.lock import lock_state

    settings = load_settings(config)
    incremental = settings.pipeline(pipeline).source.incremental
    if incremental is None:
        raise ConfigError(
            f"pipeline {pipeline} is not incremental: it has no mark",
            remedy="`worker state reset` reads it again from the start",
        )
    try:
        value = (
            mark
            if incremental.from_ is not None
            else MarkFormat(incremental.format.record, zone=incremental.format.zone).parser()(mark)[
                0
            ]
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise ConfigError(
            f"{mark!r} is no mark of this pipeline",
            remedy=f"write it like the records do: {incremental.format.record}",
        ) from error
    _known_partition(settings, pipeline, partition)
    if not yes:
        click.confirm(
            f"Set the mark of pipeline {pipeline}, partition {partition} to {mark}?", abort=True
        )
    with lock_state(settings.state.path.absolute()):
        log = open_log(settings, read_only=False)
        try:
            log.set_mark(pipeline, partition, value)
        finally:
            log.close()
    click.echo(f"pipeline {pipeline}, partition {partition} goes on at {mark} with the next run")


@command.command("reset")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.option("--pipeline", required=True, help="The pipeline to reset.")
@click.option("--partition", help="Only this partition: it is read again from the start.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(config: tuple[Path, ...], pipeline: str, partition: str | None, yes: bool) -> None:
    """Forget how far a pipeline has come. Published files stay; what is read again is written again."""
    from worker.app import open_log, output_roots
    from worker.settings import load_settings
    from worker.sinks.files import HIDDEN
    from worker.state.lock import lock_state

    settings = load_settings(config)
    settings.pipeline(pipeline)
    if partition is not None:
        _known_partition(settings, pipeline, partition)
    what = f"pipeline {pipeline}" + (f", partition {partition}" if partition else "")
    if not yes:
        click.confirm(f"Reset {what}? Everything is read again, published files stay", abort=True)
    lineages = sorted(
        {
            path.parent.name
            for root in output_roots(settings, pipeline)
            for path in root.glob(f"{HIDDEN}/*/{pipeline}")
        }
    )
    with lock_state(settings.state.path.absolute()):
        log = open_log(settings, read_only=False)
        try:
            log.reset(pipeline, partition, found_lineages=lineages)
        finally:
            log.close()
    click.echo(f"{what} starts again with the next run")
