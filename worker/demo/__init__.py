"""The built-in example: a real data set, a server with real faults, one config."""

from __future__ import annotations

from pathlib import Path


def run() -> int:
    """Starts the bundled server, runs the quickstart once, prints what came of it. Returns the exit code."""
    import click

    from worker.build import run as run_pipelines
    from worker.cli.run import print_summary
    from worker.core.errors import ConfigError
    from worker.demo.server import HOST, PORT, serving
    from worker.settings import load_settings

    config = Path(__file__).with_name("quickstart.yaml")
    try:
        with serving() as server:
            click.echo(f"a local flights API with real faults answers at http://{HOST}:{PORT}/v1/flights")
            result = run_pipelines(load_settings([config]), once=True)
            asked = dict(sorted(server.requests.items()))
    except OSError as error:
        raise ConfigError(f"port {PORT} cannot be used: {error.strerror}", remedy="end what listens there, perhaps another demo") from error
    print_summary(result, as_json=False)
    click.echo(f"requests the server saw, by status: {asked or 'none'}")
    click.echo(f"try:  worker cat $(find var/lake/flights -name '*.avro' | head -1) | head -3\n      worker verify {config}\n      worker state show {config}")
    return result.exit_code
