"""`worker state show | set | adopt | reset`; `rebuild` and `backup` stand in a module beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from worker.cli import CONFIGS
from worker.cli.restoring import backup, rebuild
from worker.core.errors import ConfigError

if TYPE_CHECKING:
    from worker.core.adoption import Adoption
    from worker.core.cursor import Cursor
    from worker.core.model import ChainRow, PartitionRow
    from worker.core.ports import CommitHistory, OutputRoot
    from worker.paging.marks import MarkFormat
    from worker.runtime.removal import Removable
    from worker.settings import Settings
    from worker.sources.incremental import Incremental


SHOWN_PARTITIONS: Final = 20


@click.group("state")
def command() -> None:
    """Show, set, adopt, reset, rebuild or back up how far pipelines have come."""


command.add_command(rebuild)
command.add_command(backup)


def _known_partition(settings: Settings, pipeline: str, partition: str) -> None:
    from worker.wiring.logs import open_log

    with closing(open_log(settings, read_only=True)) as log:
        names = [row.partition for row in log.partitions(pipeline)]
    if partition not in names:
        some = (
            f"there are {', '.join(names[:20])}{' and more' if len(names) > 20 else ''}"
            if names
            else "it is there after the first run"
        )
        raise ConfigError(f"pipeline {pipeline} has no partition {partition!r}", remedy=some)


def _mark_format(incremental: Incremental | None) -> MarkFormat | None:
    """How records write marks; None where marks are tokens, or where there are none."""
    if incremental is None or incremental.field is None:
        return None
    return incremental.format.marks.of_records


@command.command("show")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.option("--pipeline", help="Only this one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(config: tuple[Path, ...], pipeline: str | None, as_json: bool) -> None:
    """Print lineage, last commit and the cursor of each partition.

    Marks are shown as records carry them, the way that `state set` takes them.
    """
    from worker.cli.json import print_json
    from worker.settings import load_settings
    from worker.wiring.logs import open_log

    settings = load_settings(config)
    with closing(open_log(settings, read_only=True)) as log:
        shown = [_shown(settings, log, row) for row in _chosen(settings, log, pipeline)]
        lists = {row.pipeline: log.lists(row.pipeline) for row, _ in shown}
    if as_json:
        print_json([_document(*each, lists[each[0].pipeline]) for each in shown])
        return
    for row, partitions in shown:
        click.echo(f"{row.pipeline}: lineage {row.lineage}, commit {row.seq}, epoch {row.epoch}")
        for name, since in lists[row.pipeline].items():
            click.echo(f"  others find partitions in {name}, from commit {since + 1} on")
        for part in partitions:
            click.echo(f"  {part}")


class _Partition(NamedTuple):
    """A partition as it is shown: its row, the cursor in it, its mark as records write it."""

    row: PartitionRow
    cursor: Cursor
    mark: Any

    def __str__(self) -> str:
        row, cursor = self.row, self.cursor
        mark = "no mark yet" if self.mark is None else f"mark {self.mark}"
        at = (
            "complete"
            if cursor.complete
            else f"pass {cursor.pass_no}, {mark}, {cursor.position or 'at its start'}"
        )
        return f"{row.partition}: {at} (commit {row.seq})"


def _chosen(settings: Settings, log: CommitHistory, name: str | None) -> list[ChainRow]:
    """The pipelines to show. Raises ConfigError for one that neither config nor log knows.

    One that is no more in the config may have state, one that is in it may have none yet.
    """
    rows = log.chains()
    if name is not None and name not in [row.pipeline for row in rows]:
        settings.pipeline(name)
    return [row for row in rows if name in (None, row.pipeline)]


def _shown(
    settings: Settings, log: CommitHistory, row: ChainRow
) -> tuple[ChainRow, list[_Partition]]:
    from worker.core.cursor import Cursor

    config = settings.pipelines.get(row.pipeline)
    form = _mark_format(None if config is None else config.source.incremental)
    partitions = []
    for part in log.partitions(row.pipeline):
        cursor = Cursor.from_json(part.cursor)
        mark = cursor.mark if form is None or cursor.mark is None else form.text(cursor.mark)
        partitions.append(_Partition(row=part, cursor=cursor, mark=mark))
    return row, partitions


def _document(
    row: ChainRow, partitions: Sequence[_Partition], lists: Mapping[str, int]
) -> dict[str, Any]:
    """A pipeline as JSON: the cursors as they are stored."""
    from dataclasses import asdict

    import msgspec

    return {
        "name": row.pipeline,
        **asdict(row),
        "partitions": [
            asdict(part.row) | {"cursor": msgspec.json.decode(part.row.cursor), "mark": part.mark}
            for part in partitions
        ],
        **({"lists": dict(lists)} if lists else {}),
    }


@command.command("set")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.option("--pipeline", required=True, help="The pipeline.")
@click.option("--partition", default="default", show_default=True, help="The partition.")
@click.option(
    "--mark", required=True, help="The value that the next pass starts at, as records carry it."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def set_mark(config: tuple[Path, ...], pipeline: str, partition: str, mark: str, yes: bool) -> None:
    """Say how far a partition of an incremental pipeline has come.

    Records from an earlier mark on are read, and written, again.
    """
    from worker.settings import load_settings
    from worker.state.lock import lock_state
    from worker.wiring.logs import open_log

    settings = load_settings(config)
    value = _mark(settings, pipeline, mark)
    _known_partition(settings, pipeline, partition)
    if not yes:
        click.confirm(
            f"Set the mark of pipeline {pipeline}, partition {partition} to {mark}?", abort=True
        )
    with (
        lock_state(settings.state.path.absolute()),
        closing(open_log(settings, read_only=False)) as log,
    ):
        log.set_mark(pipeline, partition, value)
    click.echo(f"pipeline {pipeline}, partition {partition} goes on at {mark} with the next run")


def _mark(settings: Settings, pipeline: str, text: str) -> int | str:
    """A mark as it is stored. Raises ConfigError."""
    incremental = settings.pipeline(pipeline).source.incremental
    if incremental is None:
        raise ConfigError(
            f"pipeline {pipeline} is not incremental: it has no mark",
            remedy="`worker state reset` reads it again from the start",
        )
    form = _mark_format(incremental)
    if form is None:
        return text
    try:
        return form.parser()(text)[0]
    except (ValueError, TypeError, OverflowError) as error:
        raise ConfigError(
            f"{text!r} is no mark of this pipeline",
            remedy=f"write it like the records do: {incremental.format.record}",
        ) from error


@command.command("adopt")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.argument("pipeline")
@click.option("--partition", help="Only this partition.")
@click.option("--root", is_flag=True, help="Accept the outputs instead of the cursors.")
@click.option("--dry-run", is_flag=True, help="Only say what would be lost or come twice.")
@click.option("--yes", is_flag=True, help="With --root: do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def adopt(
    config: tuple[Path, ...],
    pipeline: str,
    partition: str | None,
    root: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Accept that the cursors of PIPELINE mean what CONFIG says now.

    A pass in progress is dropped, and the next one begins at the mark. What that loses, and which
    records come twice, is said first. Changes after which the mark would say nothing are refused.

    With --root, accept that its outputs are right as they are: wiped, replaced, or brought back
    from a copy. The committed files that are not there are named first; they are lost.
    """
    if root:
        if partition is not None:
            raise click.UsageError("--root is about all partitions: take --partition off")
        from worker.cli.adopt_root import adopt_root

        adopt_root(config, pipeline, dry_run=dry_run, yes=yes, as_json=as_json)
        return
    if yes:
        raise click.UsageError("--yes goes with --root: without it nothing is asked")
    from worker.core.adoption import Adoption
    from worker.core.errors import StateAbsent
    from worker.core.meaning import Change
    from worker.settings import load_settings
    from worker.state.lock import lock_state
    from worker.wiring.logs import open_log

    settings = load_settings(config)
    now = settings.pipeline(pipeline).meaning()
    try:
        with closing(open_log(settings, read_only=True)) as log:
            found = _adoption(log, pipeline, now, partition)
    except StateAbsent:
        found = Adoption(Change())
    if dry_run or not found.change:
        _tell_adoption(pipeline, found, as_json=as_json, dry_run=dry_run)
        return
    with (
        lock_state(settings.state.path.absolute()),
        closing(open_log(settings, read_only=False)) as log,
    ):
        found = _adoption(log, pipeline, now, partition)
        _tell_adoption(pipeline, found, as_json=as_json)
        log.adopt(
            pipeline,
            found.cursors,
            forget_keys=found.forgets_keys,
            fingerprint=None if found.remaining else now,
        )


def _adoption(
    log: CommitHistory, pipeline: str, now: Mapping[str, str], partition: str | None
) -> Adoption:
    from worker.core.adoption import adoption

    return adoption(
        pipeline,
        log.partitions(pipeline),
        known=log.meaning(pipeline),
        now=now,
        remembered=log.remembered(pipeline),
        only=partition,
    )


def _tell_adoption(pipeline: str, found: Adoption, *, as_json: bool, dry_run: bool = False) -> None:
    """Says what an adoption does, before it is done."""
    from worker.cli.json import print_json
    from worker.core.adoption import told

    accepted = bool(found.change) and not found.remaining and not dry_run
    if as_json:
        print_json(
            {
                "pipeline": pipeline,
                "changed": [f"source.{key}" for key in found.change.keys],
                "partitions": [each.to_json() for each in found.partitions],
                "remaining": list(found.remaining),
                "reads_anew": found.reads_anew,
                "accepted": accepted,
            }
        )
        return
    for line in told(pipeline, found, most=SHOWN_PARTITIONS):
        click.echo(line)
    if found.remaining:
        others = ", ".join(found.remaining[:SHOWN_PARTITIONS])
        click.echo(f"not accepted yet: {len(found.remaining)} more partitions rest on it: {others}")
    elif accepted:
        click.echo("accepted: the cursors mean what the config says")


@command.command("reset")
@click.argument("config", nargs=-1, required=True, type=CONFIGS)
@click.option("--pipeline", required=True, help="The pipeline to reset.")
@click.option("--partition", help="Only this partition: it is read again from the start.")
@click.option("--remove-files", is_flag=True, help="Delete its published files, too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(
    config: tuple[Path, ...], pipeline: str, partition: str | None, remove_files: bool, yes: bool
) -> None:
    """Forget how far a pipeline has come.

    Published files stay unless --remove-files is given; what is read again is written again. With
    it all files of the pipeline and its dead letters are deleted where they were published, and
    nothing that no commit has made. Files that consumers have moved elsewhere stay.
    """
    from worker.cli.warn import warn
    from worker.runtime.removal import remove
    from worker.settings import load_settings
    from worker.state.lock import lock_state
    from worker.wiring.locked_outputs import locked_outputs
    from worker.wiring.logs import open_log
    from worker.wiring.outputs import lineages_at, output_roots

    settings = load_settings(config)
    settings.pipeline(pipeline)
    if partition is not None:
        _known_partition(settings, pipeline, partition)
        if remove_files:
            raise click.UsageError("--remove-files needs a whole pipeline: files have no partition")
    what = f"pipeline {pipeline}" + (f", partition {partition}" if partition else "")
    roots = output_roots(settings, pipeline)
    lineages = sorted({lineage for root in roots for lineage in lineages_at(root, pipeline)})
    with (
        lock_state(settings.state.path.absolute()),
        closing(open_log(settings, read_only=False)) as log,
        locked_outputs(settings, pipeline, log.state_id(), warn),
    ):
        found = _removable(log, pipeline, roots, lineages) if remove_files else []
        files = sum(len(each.places) for each in found)
        fate = f"{files} published files are deleted" if remove_files else "published files stay"
        if not yes:
            click.confirm(f"Reset {what}? Everything is read again, {fate}", abort=True)
        log.reset(pipeline, partition, found_lineages=lineages)
        remove(found, pipeline, lineages)
    if remove_files:
        click.echo(f"{files} files deleted")
    click.echo(f"{what} starts again with the next run")


def _removable(
    log: CommitHistory, pipeline: str, roots: Sequence[OutputRoot], lineages: Sequence[str]
) -> list[Removable]:
    """Says what stays though it has a name like ours."""
    from worker.runtime.removal import removable

    found = removable(log, pipeline, roots, lineages)
    for place in [place for each in found for place in each.others][:SHOWN_PARTITIONS]:
        click.echo(f"stays, because no commit names it: {place}")
    return found
