"""`worker schema`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from worker.core.errors import ConfigError, Exit

if TYPE_CHECKING:
    from worker.schema import Schema
    from worker.schema.model import Type

LEVELS = (
    "NONE",
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
)
MANY = 10_000
_FILE = click.Path(path_type=Path, readable=False)  # whoever reads it says why it cannot be read


@click.group("schema")
def command() -> None:
    """Avro schemas: compare, show, propose; and the schema of the config."""


@command.command("config")
def config() -> None:
    """Print the JSON Schema of config files, for editors.

    With the YAML language server: worker schema config > worker.schema.json, and in the first line of a config
    `# yaml-language-server: $schema=worker.schema.json`.
    """
    import orjson

    from worker.config.json_schema import config_schema
    from worker.settings import Settings

    click.echo(orjson.dumps(config_schema(Settings), option=orjson.OPT_INDENT_2))


@command.command("check")
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="OLD... NEW")
@click.option(
    "--level",
    default="BACKWARD",
    show_default=True,
    type=click.Choice(LEVELS, case_sensitive=False),
    help="What NEW must keep.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of incompatibilities.")
def check(files: tuple[Path, ...], level: str, as_json: bool) -> int:
    """Say whether the schema NEW is compatible with earlier ones, oldest first. Exit 65 with every reason when it is not.

    BACKWARD: NEW reads data of OLD. FORWARD: OLD reads data of NEW. FULL: both. Only the last OLD counts, unless the level is TRANSITIVE.
    Files are schemas, or Avro files, whose schema is taken.
    """
    from worker.cli.json import print_json
    from worker.schema.compat import check as incompatibilities

    if len(files) < 2:
        raise click.UsageError("two schemas are needed: OLD... NEW")
    *earlier, new = map(load, files)
    found = incompatibilities(new, earlier, level.upper())
    if as_json:
        said = [
            {"old": str(files[each.version]), "direction": each.direction, **each.problem._asdict()}
            for each in found
        ]
        print_json(said)
        return int(Exit.DATA if found else Exit.OK)
    for each in found:
        who = (
            f"{files[-1]} cannot read data of {files[each.version]}"
            if each.direction == "backward"
            else f"{files[each.version]} cannot read data of {files[-1]}"
        )
        click.echo(
            f"{who}\n  {each.problem.path}: {each.problem.message} [{each.problem.code}]"
            + (" (only some data)" if each.problem.some else "")
        )
    click.echo(
        f"not compatible: {len(found)} reasons at level {level.upper()}"
        if found
        else f"compatible at level {level.upper()}"
    )
    return int(Exit.DATA if found else Exit.OK)


@command.command("show")
@click.argument("file", type=_FILE)
@click.option("--canonical", is_flag=True, help="Print the parsing canonical form only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(file: Path, canonical: bool, as_json: bool) -> None:
    """Print the fields, the canonical form and the fingerprints of a schema FILE, or of an Avro file."""
    import orjson

    from worker.schema.canonical import canonical_form, fingerprints

    schema = load(file)
    if canonical:
        click.echo(canonical_form(schema))
        return
    fields: list[dict[str, Any]] = [
        {"path": path, "type": kind, "default": default} for path, kind, default in rows(schema)
    ]
    prints = fingerprints(schema)
    if as_json:
        click.echo(
            orjson.dumps(
                {
                    "name": schema.root.name,
                    "fields": fields,
                    "fingerprints": prints,
                    "canonical": canonical_form(schema),
                }
            )
        )
        return
    click.echo(schema.root.name or schema.root.kind)
    width = max((len(each["path"]) for each in fields), default=0)
    for each in fields:
        click.echo(
            f"  {each['path']:<{width}}  {each['type']}"
            + (f" = {each['default']}" if each["default"] is not None else "")
        )
    for name, value in prints.items():
        click.echo(f"{name}: {value}")


@command.command("infer")
@click.argument("source", metavar="SOURCE")
@click.argument("pipeline", required=False)
@click.option(
    "--pages",
    default=10,
    show_default=True,
    type=click.IntRange(1),
    help="Pages to read of a URL or a pipeline.",
)
@click.option(
    "--records",
    "path",
    metavar="PATH",
    help="JMESPath of the records in a file or in what a URL sends.",
)
@click.option("--name", default="Record", show_default=True, help="Name of the record.")
@click.option("--namespace", default="", help="Namespace of its types.")
@click.option("--enums/--no-enums", default=True, help="Whether text that repeats may be an enum.")
@click.option("--output", "-o", type=_FILE, help="File to write; default: print it.")
def infer(
    source: str,
    pipeline: str | None,
    pages: int,
    path: str | None,
    name: str,
    namespace: str,
    enums: bool,
    output: Path | None,
) -> None:
    """Propose a schema for records: of a URL, of a file (JSON, NDJSON), or of a PIPELINE of the config SOURCE, which needs no schema yet.

    It accepts every record that was read. Review it: types are careful guesses, and each field says how often it was seen.
    """
    from worker.cli.sampling import infer_from

    text, left_out = infer_from(
        source, pipeline, pages=pages, path=path, name=name, namespace=namespace, enums=enums
    )
    if left_out:
        click.echo(
            f"{left_out} records are no JSON objects: the schema does not know them", err=True
        )
    if output is None:
        click.echo(text)
    else:
        try:
            output.write_text(text + "\n")
        except OSError as error:
            raise ConfigError(
                f"{output} cannot be written: {error.strerror}",
                remedy="name a file in a directory that exists",
            ) from error
        click.echo(f"{output} written; review it, then `worker schema show {output}`", err=True)


@command.command("drift")
@click.argument("config", type=_FILE)
@click.argument("pipelines", nargs=-1)
@click.option(
    "--pages", default=10, show_default=True, type=click.IntRange(1), help="Pages to read."
)
@click.option(
    "--examples", is_flag=True, help="Print a value of each field. Values may be personal data."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def drift(
    config: Path, pipelines: tuple[str, ...], pages: int, examples: bool, as_json: bool
) -> None:
    """Print the fields that records have and their schema lacks, with a type that would fit, and how many records have them.

    Reads the first pages of each pipeline; writes nothing. A running worker says the same in /status.
    """
    import orjson

    from worker.cli.sampling import drift_of

    found = drift_of(config, pipelines, pages=pages, examples=examples)
    if as_json:
        click.echo(orjson.dumps(found))
        return
    for each in found:
        click.echo(
            f"{each['pipeline']}: {len(each['fields'])} fields of {each['records']} records that the schema lacks"
        )
        for field in each["fields"]:
            shown = orjson.dumps(field["type"]).decode()
            click.echo(
                f"  {field['name']}: {shown}, {field['seen']} times"
                + (
                    f", like {orjson.dumps(field['example']).decode()}"
                    if "example" in field
                    else ""
                )
            )


def load(path: Path) -> Schema:
    """The schema in a file, which may be an Avro file. Raises ConfigError with the file, and the place in it."""
    from worker.schema import CorruptData, parse_schema
    from worker.schema.container import MAGIC, ContainerReader
    from worker.schema.parse import MAX_BYTES

    try:
        with path.open("rb") as file:
            if file.peek(len(MAGIC)).startswith(
                MAGIC
            ):  # a pipe cannot go back: schema check <(git show v1:order.avsc) order.avsc
                return ContainerReader(file, str(path)).schema()
            return parse_schema(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", remedy="name a schema, or an Avro file"
        ) from error
    except CorruptData as error:
        raise ConfigError(
            f"{path} is no intact Avro file: {error}", remedy="name another one"
        ) from error
    except ConfigError as error:
        error.where = f"{path}: {error.where}" if error.where else str(path)
        raise


def rows(schema: Schema) -> list[tuple[str, str, str | None]]:
    """(path, type, default as JSON or None) of every field, nested ones below theirs; a type that holds itself is shown once.

    Types that hold others several times, on many levels, have fields without end: beyond MANY rows every type is shown once.
    """
    found: list[tuple[str, str, str | None]] = []
    _rows(schema, schema.root, "", found, (), set())
    return found


def _rows(
    schema: Schema,
    kind: Type,
    path: str,
    found: list[tuple[str, str, str | None]],
    above: tuple[str, ...],
    shown: set[str],
) -> None:
    import orjson

    from worker.schema.model import NO_DEFAULT

    kind = schema.resolve(kind)
    if kind.kind == "record":
        if kind.name in above or (len(found) >= MANY and kind.name in shown):
            return
        shown.add(kind.name)
        for each in kind.fields:
            below = f"{path}.{each.name}".lstrip(".")
            found.append(
                (
                    below,
                    _shown(schema, each.type),
                    None if each.default is NO_DEFAULT else orjson.dumps(each.default).decode(),
                )
            )
            _rows(schema, each.type, below, found, (*above, kind.name), shown)
    elif kind.kind == "union":
        for branch in kind.branches:
            _rows(schema, branch, path, found, above, shown)
    elif kind.items is not None:
        _rows(
            schema,
            kind.items,
            f"{path}[]" if kind.kind == "array" else f"{path}{{}}",
            found,
            above,
            shown,
        )


def _shown(schema: Schema, kind: Type) -> str:
    """A type in a few words."""
    kind = schema.resolve(kind)
    if kind.kind == "union":
        return " | ".join(_shown(schema, each) for each in kind.branches)
    if kind.items is not None:
        return f"{kind.kind} of {_shown(schema, kind.items)}"
    text = {
        "record": f"record {kind.name}",
        "enum": f"enum {kind.name} ({', '.join(kind.symbols[:8])}{', ...' if len(kind.symbols) > 8 else ''})",
    }.get(
        kind.kind, f"fixed {kind.name} of {kind.size} bytes" if kind.kind == "fixed" else kind.kind
    )
    logical: Any = kind.logical
    if logical == "decimal":
        logical = f"decimal({kind.precision}, {kind.scale})"
    return f"{text} ({logical})" if logical else text
