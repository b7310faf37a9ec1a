"""`worker state adopt --root`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker.cli.warn import warn

if TYPE_CHECKING:
    from worker.wiring.known_roots import RootAdoption


def adopt_root(
    config: Sequence[Path], pipeline: str, *, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Says what is wrong with the outputs of a pipeline and what is lost, asks, and accepts them.

    Raises ConfigError for a state that is older than its output.
    """
    from worker.settings import load_settings
    from worker.state.lock import lock_state
    from worker.wiring.known_roots import adopt_roots, root_adoption
    from worker.wiring.locked_outputs import locked_outputs
    from worker.wiring.logs import open_log

    settings = load_settings(config)
    settings.pipeline(pipeline)
    with closing(open_log(settings, read_only=True)) as log:
        found = root_adoption(log, settings, pipeline)
    if dry_run or found.why is None:
        _tell(pipeline, found, as_json=as_json, accepted=False)
        return
    if not as_json:
        _tell(pipeline, found, as_json=False, accepted=False)
    if not yes:
        click.confirm("Go on with these outputs?", abort=True, err=as_json)
    with (
        lock_state(settings.state.path.absolute()),
        closing(open_log(settings, read_only=False)) as log,
        locked_outputs(settings, pipeline, log.state_id(), warn),
    ):
        found = root_adoption(log, settings, pipeline)
        adopt_roots(log, settings, found)
    if as_json:
        _tell(pipeline, found, as_json=True, accepted=True)
    else:
        click.echo(f"accepted: pipeline {pipeline} goes on with these outputs")


def _tell(pipeline: str, found: RootAdoption, *, as_json: bool, accepted: bool) -> None:
    from worker.cli.json import print_json
    from worker.wiring.known_roots import some

    if as_json:
        print_json(
            {
                "pipeline": pipeline,
                "outputs": {each.root.kind: str(each.root) for each in found.seen.roots},
                "refused": None if found.why is None else found.why.message,
                "lost": list(found.lost),
                "accepted": accepted,
            }
        )
        return
    if found.why is None:
        click.echo("nothing to accept: the next run goes on with these outputs")
        return
    click.echo(found.why.message)
    click.echo(f"{len(found.lost)} committed files are not there, and are given up")
    for place in some(tuple(found.lost)):
        click.echo(f"  {place}")
