"""`worker dlq list | show | replay | purge`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker.cli import CONFIGS
from worker.core.model import DEAD_LETTERS, StagedFile, of_kind
from worker.core.ports import CommitHistory, FileState, OutputRoot
from worker.core.replays import replayed_to

if TYPE_CHECKING:
    from worker.core.dead_letter import DeadLetter
    from worker.settings import Settings

_CONFIG = click.argument("config", nargs=-1, required=True, type=CONFIGS)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_PIPELINE = click.option("--pipeline", required=True, metavar="NAME", help="The pipeline.")


@click.group("dlq")
def command() -> None:
    """Look at dead letters, replay them after a fix, or delete them."""


@command.command("list")
@_CONFIG
@click.option("--pipeline", metavar="NAME", help="Only this one.")
@_JSON
def list_letters(config: tuple[Path, ...], pipeline: str | None, as_json: bool) -> None:
    """Count the dead letters that wait, by pipeline, stage, code and field."""
    with _opened(config, pipeline) as (settings, log):
        names = settings.pipelines if pipeline is None else [pipeline]
        rows = [row for name in names for row in _kinds(settings, log, name)]
    if as_json:
        from worker.cli.json import print_json

        print_json(rows)
        return
    for row in rows:
        kind = f"{row.stage} {row.code} {row.field}".rstrip()
        click.echo(f"{row.pipeline}: {row.letters} x {kind}")
    click.echo(f"{len(rows)} kinds" if rows else "no dead letters wait")


@dataclass(frozen=True, slots=True)
class _Kind:
    """How many letters of a kind wait."""

    pipeline: str
    stage: str
    code: str
    field: str
    letters: int


def _kinds(settings: Settings, log: CommitHistory, pipeline: str) -> list[_Kind]:
    """The letters of a pipeline that wait, by stage, code and field; the most first."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for letter in _waiting(settings, log, pipeline):
        fields = {error.path for error in letter.errors} or {""}
        counts.update((letter.stage, letter.code, path) for path in fields)
    return [
        _Kind(pipeline=pipeline, stage=stage, code=code, field=path, letters=count)
        for (stage, code, path), count in counts.most_common()
    ]


@command.command("show")
@_CONFIG
@_PIPELINE
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="At most so many.",
)
@click.option("--code", help="Only those with this code.")
@_JSON
def show(
    config: tuple[Path, ...], pipeline: str, count: int, code: str | None, as_json: bool
) -> None:
    """Print dead letters that wait: their origin, what is wrong, the record as it was received."""
    with _opened(config, pipeline) as (settings, log):
        waiting = _waiting(settings, log, pipeline)
        found = list(islice((each for each in waiting if code in (None, each.code)), count))
    if as_json:
        import msgspec

        from worker.cli.json import print_json

        print_json(msgspec.to_builtins(found))
        return
    if not found:
        click.echo("no dead letters wait" + (f" with code {code}" if code else ""))
    for letter in found:
        _print(letter)


def _print(letter: DeadLetter) -> None:
    from worker.runtime.streams import harmless
    from worker.schema.stored import shown

    lines = (
        (
            f"commit {letter.seq}, partition {letter.partition}, record {letter.index} of its page,"
            f" {letter.time}: {letter.stage} {letter.code}"
        ),
        *(
            f"  {error.path}: found {error.found}, allowed {error.allowed}"
            for error in letter.errors
        ),
        f"  {shown(letter.shown.encode()).decode()}"
        if letter.kept != "errors"
        else "  the record was not kept (dead_letters.keep)",
    )
    for line in lines:
        click.echo(harmless(line))


@command.command("replay")
@_CONFIG
@_PIPELINE
@_JSON
def replay(config: tuple[Path, ...], pipeline: str, as_json: bool) -> int:
    """Decode the dead letters that wait once more, with the schema and transforms of now.

    Each lands once; a second replay adds nothing. Letters that do not hold their record
    (`dead_letters.keep`) wait on.
    """
    from worker.app import replay_async
    from worker.cli.run import print_summary
    from worker.settings import load_settings

    _say_what_was_not_kept(config, pipeline)
    result = asyncio.run(replay_async(load_settings(config), pipeline))
    print_summary(result, as_json=as_json)
    return result.exit_code


def _say_what_was_not_kept(config: tuple[Path, ...], pipeline: str) -> None:
    """Raises NotKept where no letter that waits holds its record."""
    from worker.core.errors import NotKept, StateAbsent

    try:
        with _opened(config, pipeline) as (settings, log):
            whole = [letter.whole for letter in _waiting(settings, log, pipeline)]
    except StateAbsent:
        return
    if all(whole):
        return
    missing = (
        f"{whole.count(False)} of {len(whole)} dead letters of {pipeline} that wait do not hold"
        " their record, because of what dead_letters.keep was when they were written"
    )
    remedy = (
        "`worker dlq show` says which they are; read them from the source again, with `worker run"
        " --from V --to V` where the source is incremental, and then give the letters up with"
        " `worker dlq purge --waiting`"
    )
    if not any(whole):
        raise NotKept(missing, remedy=remedy)
    click.echo(f"warning: {missing}; the others are replayed. {remedy}", err=True)


@command.command("purge")
@_CONFIG
@_PIPELINE
@click.option("--waiting", is_flag=True, help="Also those that were not replayed. They are lost.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(config: tuple[Path, ...], pipeline: str, waiting: bool, yes: bool) -> None:
    """Delete files of dead letters that were replayed."""
    from worker.cli.warn import warn
    from worker.core.checkpoint import PURGED
    from worker.state.lock import lock_state
    from worker.wiring.locked_outputs import locked_outputs
    from worker.wiring.logs import open_log

    with (
        _opened(config, pipeline) as (settings, log),
        lock_state(settings.state.path.absolute()),
        locked_outputs(settings, pipeline, log.state_id(), warn),
    ):
        root = _root(settings, log, pipeline)
        files = [
            file
            for file in _files(log, pipeline, waiting=waiting)
            if root.standing(file) is FileState.PUBLISHED
        ]
        if files and not yes:
            lost = ", some of which were not replayed" if waiting else ""
            click.confirm(
                f"Delete {len(files)} files of dead letters of {pipeline}{lost}?", abort=True
            )
        if files:
            with closing(open_log(settings, read_only=False)) as written:
                written.keep_gone(pipeline, files, PURGED)
        for file in files:
            root.delete(file)
    click.echo(f"{len(files)} files deleted")


def _files(log: CommitHistory, pipeline: str, *, waiting: bool) -> Iterator[StagedFile]:
    """The files of letters that were replayed, and of the `waiting` ones too."""
    replayed = replayed_to(log.partitions(pipeline))
    for commit in log.commits(pipeline, kind=DEAD_LETTERS):
        if waiting or commit.seq <= replayed:
            yield from of_kind(commit.files, DEAD_LETTERS)


@contextmanager
def _opened(
    config: tuple[Path, ...], pipeline: str | None
) -> Iterator[tuple[Settings, CommitHistory]]:
    """Settings and commit log.

    Raises ConfigError for a pipeline that there is not, StateError when there is no log yet.
    """
    from worker.settings import load_settings
    from worker.wiring.logs import open_log

    settings = load_settings(config)
    if pipeline is not None:
        settings.pipeline(pipeline)
    with closing(open_log(settings, read_only=True)) as log:
        yield settings, log


def _root(settings: Settings, log: CommitHistory, pipeline: str) -> OutputRoot:
    """Where the dead letters of a pipeline are."""
    from worker.wiring.outputs import output_roots

    _, dead = output_roots(settings, pipeline, log.places(pipeline))
    return dead


def _waiting(settings: Settings, log: CommitHistory, pipeline: str) -> Iterator[DeadLetter]:
    from worker.sources.dead_letters import letters_of

    root = _root(settings, log, pipeline)
    after = replayed_to(log.partitions(pipeline))
    for commit in log.commits(pipeline, after + 1, kind=DEAD_LETTERS):
        yield from letters_of(root, commit)
