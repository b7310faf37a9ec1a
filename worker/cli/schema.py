"""`worker schema`."""

from __future__ import annotations

import click


@click.group("schema")
def command() -> None:
    """Schemas of the config."""


@command.command("config")
def config() -> None:
    """Print the JSON Schema of config files, for editors.

    With the YAML language server: worker schema config > worker.schema.json, and in the first line of a config
    `# yaml-language-server: $schema=worker.schema.json`.
    """
    import orjson

    from worker.config.json_schema import config_schema

    click.echo(orjson.dumps(config_schema(), option=orjson.OPT_INDENT_2))
