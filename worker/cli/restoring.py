"""`worker state rebuild | backup`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from worker.cli import CONFIGS

if TYPE_CHECKING:
    from worker.runtime.rebuild import Found

_SHOWN = 20


@click.command("rebuild")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.option("--dry-run", is_flag=True, help="Only say what would be found.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rebuild(config: tuple[Path, ...], dry_run: bool, yes: bool, as_json: bool) -> None:
    """Make the state of all pipelines of CONFIG from their outputs.

    For a state that is lost, damaged, or older than its output. The next run goes on exactly where
    the output ends. The state that is there is put aside, never deleted.
    """
    from worker.cli.warn import warn
    from worker.settings import load_settings
    from worker.state.lock import lock_state
    from worker.wiring.rebuilding import absent, found_chains
    from worker.wiring.rebuilding import rebuild as make_state

    settings = load_settings(config)
    with lock_state(settings.state.path.absolute()):
        found = found_chains(settings)
        missing = absent(settings, found)
        if not as_json:
            _tell(found, missing)
        if dry_run:
            aside = None
        else:
            if not yes:
                click.confirm(
                    "Make the state from this? The one that is there is put aside",
                    abort=True,
                    err=as_json,
                )
            aside = make_state(settings, found, warn)
    if as_json:
        from worker.cli.json import print_json

        print_json(
            {
                "rebuilt": not dry_run,
                "aside": None if aside is None else str(aside),
                "chains": [_document(each) for each in found],
                "absent": missing,
            }
        )
    elif not dry_run:
        if aside is not None:
            click.echo(f"the state before is {aside}")
        click.echo("rebuilt; `worker run` goes on with it")


def _tell(found: Sequence[Found], missing: Mapping[str, str]) -> None:
    for each in found:
        chain = each.chain
        click.echo(
            f"{chain.pipeline}: lineage {chain.lineage}, commit {chain.seq},"
            f" {len(chain.partitions)} partitions"
        )
        if each.letters:
            click.echo(
                f"  dead letters: {each.letters} is not the directory that was used before: they"
                " begin anew there (if it is a volume, mount it first)"
            )
        if each.lost:
            click.echo(f"  lost: {len(each.lost)} files of dead letters that were not replayed")
        for file in each.lost[:_SHOWN]:
            click.echo(f"    {file.root}/{file.final}")
        if len(each.lost) > _SHOWN:
            click.echo(f"    and {len(each.lost) - _SHOWN} more (--json lists all)")
    for name, place in missing.items():
        click.echo(
            f"{name}: {place} has no commit of it: it begins anew there (if it is a volume, mount"
            " it first)"
        )


def _document(each: Found) -> dict[str, Any]:
    chain = each.chain
    return {
        "pipeline": chain.pipeline,
        "shard": chain.shard,
        "lineage": chain.lineage,
        "seq": chain.seq,
        "partitions": [part.partition for part in chain.partitions],
        "lost": [f"{file.root}/{file.final}" for file in each.lost],
        "new_dead_letters": each.letters or None,
    }


@click.command("backup")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def backup(config: tuple[Path, ...], directory: Path) -> None:
    """Copy the state of CONFIG into DIRECTORY, also while a worker runs.

    The copy is of one moment. Output and dead letters are files that never change: copy them
    behind the state, with whatever copies files.
    """
    from worker.runtime import fs
    from worker.settings import load_settings
    from worker.state.lock import opening
    from worker.state.sqlite import STATE_FILE
    from worker.wiring.logs import open_log

    settings = load_settings(config)
    with closing(open_log(settings, read_only=True)) as log:
        target = directory.absolute() / STATE_FILE
        with opening(target):
            fs.make_root(target.parent)
            target.parent.chmod(0o700)
        log.backup(target)
        with opening(target):
            fs.fsync_dir(target.parent)
        rows = log.chains()
    for row in rows:
        click.echo(f"{row.pipeline}: commit {row.seq} of lineage {row.lineage}")
    click.echo(f"copied to {target}")
