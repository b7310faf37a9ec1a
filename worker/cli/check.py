"""`worker check`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("check")
@click.argument("config", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(config: tuple[Path, ...], as_json: bool) -> None:
    """Check CONFIG files; nothing is fetched or written. Exit 78 with every problem and its place."""
    from worker.build import describe
    from worker.settings import load_settings

    found = describe(load_settings(config))
    if as_json:
        import orjson

        click.echo(orjson.dumps(found))
        return
    for each in found:
        click.echo(f"{each.pop('pipeline')}:")
        for key, value in each.items():
            click.echo(f"  {key.replace('_', ' ')}: {value}")
    click.echo("ok")
