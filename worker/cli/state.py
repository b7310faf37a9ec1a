"""`worker state show | reset`."""

from __future__ import annotations

from pathlib import Path

import click

from worker.core.errors import ConfigError


@click.group("state")
def command() -> None:
    """Show or reset how far pipelines have come."""


@command.command("show")
@click.argument("config", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--pipeline", help="Only this one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(config: tuple[Path, ...], pipeline: str | None, as_json: bool) -> None:
    """Print lineage, last commit and the cursor of each partition."""
    import msgspec

    from worker.build import open_log
    from worker.settings import load_settings

    log = open_log(load_settings(config), read_only=True)
    try:
        rows = [each for each in log.pipelines() if pipeline in (None, each["name"])]
        for each in rows:
            parts = log.partitions(each["name"])
            each["partitions"] = [{**part, "cursor": msgspec.json.decode(part["cursor"])} for part in parts]
    finally:
        log.close()
    if as_json:
        click.echo(msgspec.json.encode(rows))
        return
    for each in rows:
        click.echo(f"{each['name']}: lineage {each['lineage']}, commit {each['seq']}")
        for part in each["partitions"]:
            cursor = part["cursor"]
            at = "complete" if cursor["complete"] else f"pass {cursor['pass']}, mark {cursor['mark']}, position {cursor['position']}"
            click.echo(f"  {part['partition']}: {at} (epoch {part['epoch']}, commit {part['seq']})")


@command.command("reset")
@click.argument("config", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--pipeline", required=True, help="The pipeline to reset.")
@click.option("--partition", help="Only this partition: it is read again from the start.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(config: tuple[Path, ...], pipeline: str, partition: str | None, yes: bool) -> None:
    """Forget how far a pipeline has come. Published files stay; what is read again is written again."""
    from worker.build import open_log, output_roots
    from worker.settings import load_settings
    from worker.sinks.files import HIDDEN
    from worker.state.lock import lock_state

    settings = load_settings(config)
    if pipeline not in settings.pipelines:
        raise ConfigError(f"no pipeline is called {pipeline}", remedy=f"there are {', '.join(settings.pipelines)}")
    what = f"pipeline {pipeline}" + (f", partition {partition}" if partition else "")
    if not yes:
        click.confirm(f"Reset {what}? Everything is read again, published files stay", abort=True)
    lineages = sorted({path.parent.name for root in output_roots(settings, pipeline) for path in root.glob(f"{HIDDEN}/*/{pipeline}")})
    with lock_state(settings.state.path.absolute()):
        log = open_log(settings, read_only=False)
        try:
            log.reset(pipeline, partition, found_lineages=lineages)
        finally:
            log.close()
    click.echo(f"{what} starts again with the next run")
