"""`worker prune`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker.cli import CONFIGS

if TYPE_CHECKING:
    from worker.core.ports import CommitLog
    from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class _Pruned:
    """What was, or would be, forgotten of a chain; and the files of dead letters that were removed
    because they were too old.
    """

    pipeline: str
    shard: int
    commits: int
    kept: int
    dead_letters: int = 0


@click.command("prune")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.option("--pipeline", metavar="NAME", help="Only this one.")
@click.option("--keep", metavar="DURATION", help="Keep what is younger; default: `state.keep`.")
@click.option("--dry-run", is_flag=True, help="Only say how many commits are old.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    config: tuple[Path, ...],
    pipeline: str | None,
    keep: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Forget old commits now, while no worker runs, and shrink the commit log.

    A checkpoint is written beside each output first. Published files stay; commits with dead
    letters that were neither replayed nor purged do, too. Dead letters older than
    `dead_letters.keep_for` are removed.
    """
    from worker.cli.warn import warn
    from worker.settings import load_settings
    from worker.state.lock import lock_state
    from worker.wiring.known_roots import outputs_seen
    from worker.wiring.locked_outputs import locked_outputs
    from worker.wiring.logs import open_log

    settings = load_settings(config)
    if pipeline is not None:
        settings.pipeline(pipeline)
    keep_s = settings.state.keep if keep is None else _seconds(keep)
    names = [name for name in settings.pipelines if pipeline in (None, name)]
    pruned: list[_Pruned] = []
    with (
        lock_state(settings.state.path.absolute()),
        closing(open_log(settings, read_only=False)) as log,
    ):
        for name in names:
            with locked_outputs(settings, name, log.state_id(), warn):
                outputs_seen(log, settings, name).refuse_to_prune()
                pruned += _prune(settings, log, name, keep_s=keep_s, dry_run=dry_run)
        if not dry_run:
            log.shrink()
    if as_json:
        from worker.cli.json import print_json

        print_json(pruned)
        return
    for each in pruned:
        did = "would be forgotten" if dry_run else "forgotten"
        letters = f", {each.dead_letters} files of dead letters removed" * bool(each.dead_letters)
        click.echo(f"{each.pipeline}: {each.commits} commits {did}, {each.kept} are kept{letters}")


def _seconds(text: str) -> float:
    from worker.config.scalars import duration_seconds

    try:
        return duration_seconds(text)
    except ValueError as error:
        raise click.UsageError(f"--keep {text!r}: {error}") from error


def _prune(
    settings: Settings, log: CommitLog, name: str, *, keep_s: float, dry_run: bool
) -> Iterator[_Pruned]:
    """Each chain of a pipeline."""
    from worker.core.model import ChainState
    from worker.runtime.clock import SystemClock
    from worker.runtime.keeper import Keeper, Kept, old_commits, prune
    from worker.wiring.outputs import commit_records, expiry_of

    clock = SystemClock()
    expiry = expiry_of(settings, name, clock)
    for row in log.chains(name):
        if not row.seq:
            continue
        if dry_run:
            kept = Kept(pruned=old_commits(log, row, clock, keep_s))
        else:
            records = commit_records(settings, name, row.lineage)
            chain = ChainState(name, row.shard, row.lineage)
            expires = expiry and expiry(log)
            kept = prune(Keeper(log, records, chain, clock, keep_s=keep_s, expiry=expires))
        there = log.commit_count(name, shard=row.shard)
        left = there - kept.pruned if dry_run else there
        yield _Pruned(name, row.shard, kept.pruned, left, kept.expired)
