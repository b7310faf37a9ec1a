"""`worker dlq list | show | replay | purge`."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from worker.cli import CONFIGS

if TYPE_CHECKING:
    from worker.settings import Settings
    from worker.state.sqlite import SqliteCommitLog

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
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
    settings, log = _opened(config, pipeline)
    try:
        rows = []
        for name in settings.pipelines if pipeline is None else [pipeline]:
            counts: Counter[tuple[str, str, str]] = Counter()
            for letter in _waiting(log, name):
                fields = {error["path"] for error in letter["errors"]} or {""}
                counts.update((letter["stage"], letter["code"], path) for path in fields)
            rows += [
                {"pipeline": name, "stage": s, "code": c, "field": f, "letters": n}
                for (s, c, f), n in counts.most_common()
            ]
    finally:
        log.close()
    if as_json:
        from worker.cli.json import print_json

        print_json(rows)
        return
    for row in rows:
        click.echo(
            f"{row['pipeline']}: {row['letters']} x {row['stage']} {row['code']} {row['field']}".rstrip()
        )
    click.echo(f"{len(rows)} kinds" if rows else "no dead letters wait")


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
    """Print dead letters that wait: where they came from, what is wrong, the record as it was received."""
    _, log = _opened(config, pipeline)
    try:
        found = [letter for letter in _waiting(log, pipeline) if code in (None, letter["code"])][
            :count
        ]
    finally:
        log.close()
    if as_json:
        from worker.cli.json import print_json

        print_json(found)
        return
    if not found:
        click.echo("no dead letters wait" + (f" with code {code}" if code else ""))
    for letter in found:
        click.echo(
            f"commit {letter['seq']}, partition {letter['partition']}, record {letter['index']} of its page, {letter['time']}: {letter['stage']} {letter['code']}"
        )
        for error in letter["errors"]:
            click.echo(f"  {error['path']}: found {error['found']}, allowed {error['allowed']}")
        click.echo(f"  {_harmless(letter.get('raw', letter.get('raw_base64')))}")


@command.command("replay")
@_CONFIG
@_PIPELINE
@_JSON
def replay(config: tuple[Path, ...], pipeline: str, as_json: bool) -> int:
    """Decode the dead letters that wait once more, with the schema and transforms of now. Each lands once; a second replay adds nothing."""
    from worker.app import replay_async
    from worker.cli.run import print_summary
    from worker.settings import load_settings

    result = asyncio.run(replay_async(load_settings(config), pipeline))
    print_summary(result, as_json=as_json)
    return result.exit_code


@command.command("purge")
@_CONFIG
@_PIPELINE
@click.option("--waiting", is_flag=True, help="Also those that were not replayed. They are lost.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(config: tuple[Path, ...], pipeline: str, waiting: bool, yes: bool) -> None:
    """Delete files of dead letters that were replayed."""
    from worker.state.lock import lock_state

    settings, log = _opened(config, pipeline)
    try:
        with lock_state(settings.state.path.absolute()):
            done = _replayed_to(log, pipeline)
            paths = [
                Path(file.root) / file.final
                for seq in log.letter_commits(pipeline, 0)
                if waiting or seq <= done
                for file in log.files(pipeline, seq)
                if file.kind == "dead_letters" and (Path(file.root) / file.final).exists()
            ]
            if paths and not yes:
                click.confirm(
                    f"Delete {len(paths)} files of dead letters of {pipeline}{', some of which were not replayed' if waiting else ''}?",
                    abort=True,
                )
            for path in paths:
                path.unlink()
    finally:
        log.close()
    click.echo(f"{len(paths)} files deleted")


def _harmless(raw: Any) -> str:
    """A record as it was received, without what would command the terminal of whoever looks at it."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", str(raw))


def _opened(config: tuple[Path, ...], pipeline: str | None) -> tuple[Settings, SqliteCommitLog]:
    """Settings and commit log. Raises ConfigError for a pipeline that there is not, StateError when there is no log yet."""
    from worker.app import open_log
    from worker.settings import load_settings

    settings = load_settings(config)
    if pipeline is not None:
        settings.pipeline(pipeline)
    return settings, open_log(settings, read_only=True)


def _replayed_to(log: SqliteCommitLog, pipeline: str) -> int:
    """Number of the last commit whose dead letters were replayed."""
    import msgspec

    from worker.core.model import REPLAYED

    cursor = next(
        (row["cursor"] for row in log.partitions(pipeline) if row["partition"] == REPLAYED), None
    )
    return 0 if cursor is None else msgspec.json.decode(cursor)["mark"] or 0


def _waiting(log: SqliteCommitLog, pipeline: str) -> Iterator[dict[str, Any]]:
    from worker.sources.dead_letters import letters_of

    for seq in log.letter_commits(pipeline, _replayed_to(log, pipeline) + 1):
        yield from letters_of(log, pipeline, seq)
