"""`worker schema`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from worker.cli.asking import asking_options, is_url, source_keys
from worker.core.errors import ConfigError, Exit

if TYPE_CHECKING:
    from worker.cli.sampling import Proposal
    from worker.schema import Schema
    from worker.schema.compat import Incompatibility
    from worker.schema.model import Field, Type

LEVELS: Final = (
    "NONE",
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
)
MANY: Final = 10_000
SHOWN_SYMBOLS: Final = 8
_FILE: Final = click.Path(path_type=Path, readable=False)
"""A file. That it cannot be read is an error with its reason, and no error of the command line."""

Row = tuple[str, str, str | None]
"""The path of a field, its type in words, and its default as JSON; None for no default."""


@click.group("schema")
def command() -> None:
    """Compare, show and propose Avro schemas; print the schema of the config."""


@command.command("config")
def config() -> None:
    """Print the JSON Schema of config files, for editors.

    With the YAML language server, save it as worker.schema.json and begin a config with the line
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
    """Say whether the schema NEW is compatible with earlier ones, the oldest first.

    Exit 65 with every reason when it is not. BACKWARD: NEW reads data of OLD. FORWARD: OLD reads
    data of NEW. FULL: both. Only the last OLD counts, unless the level is TRANSITIVE. Files are
    schemas, or Avro files, whose schema is taken.
    """
    from worker.cli.json import print_json
    from worker.schema.compat import check as incompatibilities

    if len(files) < 2:
        raise click.UsageError("two schemas are needed: OLD... NEW")
    *earlier, new = map(load, files)
    found = incompatibilities(new, earlier, level.upper())
    if as_json:
        print_json(
            [
                {"old": str(files[each.version]), "direction": each.direction}
                | each.problem._asdict()
                for each in found
            ]
        )
        return int(Exit.DATA if found else Exit.OK)
    for each in found:
        click.echo(_incompatibility(each, files))
    verdict = f"not compatible: {len(found)} reasons" if found else "compatible"
    click.echo(f"{verdict} at level {level.upper()}")
    return int(Exit.DATA if found else Exit.OK)


def _incompatibility(found: Incompatibility, files: tuple[Path, ...]) -> str:
    """Which of two files cannot be read with the schema of the other, and why."""
    old, new, problem = files[found.version], files[-1], found.problem
    reader, writer = (new, old) if found.direction == "backward" else (old, new)
    some = " (only some data)" if problem.some else ""
    reason = f"{problem.path}: {problem.message} [{problem.code}]{some}"
    return f"{reader} cannot read data of {writer}\n  {reason}"


@command.command("show")
@click.argument("file", type=_FILE)
@click.option("--canonical", is_flag=True, help="Print the parsing canonical form only.")
@click.option(
    "--with",
    "others",
    multiple=True,
    metavar="FILE",
    help="Another file with types that FILE uses, or a pattern of them; may come several times.",
)
@click.option("--name", help="The type to show, of a FILE that is a list of types.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(
    file: Path, canonical: bool, others: tuple[str, ...], name: str | None, as_json: bool
) -> None:
    """Print the fields, canonical form and fingerprints of a schema FILE, or of an Avro file.

    What the schema says in vain, like a logical type that must be ignored, is printed as warnings.
    """
    import orjson

    from worker.config.schema_file import FilesConfig, schema_files
    from worker.schema.canonical import canonical_form, fingerprints

    split = others or name is not None
    schema = schema_files(FilesConfig(file=file, with_=others, name=name)) if split else load(file)
    if canonical:
        click.echo(canonical_form(schema))
        return
    fields: list[dict[str, Any]] = [
        {"path": path, "type": kind, "default": default} for path, kind, default in rows(schema)
    ]
    prints = fingerprints(schema)
    if as_json:
        shown = {
            "name": schema.root.name,
            "fields": fields,
            "fingerprints": prints,
            "warnings": [each._asdict() for each in schema.warnings],
        }
        click.echo(orjson.dumps({**shown, "canonical": canonical_form(schema)}))
        return
    _print_schema(schema, fields, prints)


def _print_schema(
    schema: Schema, fields: Sequence[Mapping[str, Any]], prints: Mapping[str, str]
) -> None:
    click.echo(schema.root.name or schema.root.kind)
    width = max((len(each["path"]) for each in fields), default=0)
    for each in fields:
        default = "" if each["default"] is None else f" = {each['default']}"
        click.echo(f"  {each['path']:<{width}}  {each['type']}{default}")
    for name, value in prints.items():
        click.echo(f"{name}: {value}")
    for warning in schema.warnings:
        click.echo(f"warning: {warning}")


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
@asking_options
@click.option("--name", default="Record", show_default=True, help="Name of the record.")
@click.option("--namespace", default="", help="Namespace of its types.")
@click.option(
    "--enums/--no-enums",
    default=False,
    show_default=True,
    help="Whether text that repeats may be an enum, which rejects the next new text.",
)
@click.option("--output", "-o", type=_FILE, help="File to write; default: print it.")
@click.option("--force", is_flag=True, help="Replace the file of --output if it is there.")
def infer(
    source: str,
    pipeline: str | None,
    pages: int,
    path: str | None,
    headers: tuple[str, ...],
    bearer: str | None,
    basic: str | None,
    pagination: str | None,
    name: str,
    namespace: str,
    enums: bool,
    output: Path | None,
    force: bool,
) -> None:
    """Propose a schema for the records of SOURCE.

    SOURCE is a URL, a file (JSON, NDJSON), or the config of PIPELINE, which needs no schema yet.
    The schema accepts every record that was read. Review it: types are careful guesses, and each
    field says how often it was seen.
    """
    from worker.cli.sampling import infer_from

    asked = any((headers, bearer, basic, pagination))
    if asked and (pipeline is not None or not is_url(source)):
        raise click.UsageError("--header, --bearer, --basic and --pagination are for a URL")
    if output is not None and output.exists() and not force:
        raise ConfigError(
            f"{output} is there already",
            remedy="name another file, or replace it with --force",
        )
    proposal = infer_from(
        source,
        pipeline,
        pages=pages,
        path=path,
        ask=source_keys(headers, bearer, basic, pagination),
        name=name,
        namespace=namespace,
        enums=enums,
    )
    if output is None:
        _say(proposal)
        return
    for note in proposal.notes:
        click.echo(note, err=True)
    try:
        with output.open("w" if force else "x") as file:
            file.write(proposal.text + "\n")
    except OSError as error:
        raise ConfigError(
            f"{output} cannot be written: {error.strerror}",
            remedy="name a file in a directory that exists",
        ) from error
    click.echo(f"{output} written; review it, then `worker schema show {output}`", err=True)


def _say(proposal: Proposal) -> None:
    for note in proposal.notes:
        click.echo(note, err=True)
    click.echo(proposal.text)


@command.command("drift")
@click.argument("config", type=_FILE)
@click.argument("pipelines", nargs=-1)
@click.option(
    "--pages", default=10, show_default=True, type=click.IntRange(1), help="Pages to read."
)
@click.option(
    "--examples", is_flag=True, help="Print a value of each field. Values may be personal data."
)
@click.option(
    "--propose",
    is_flag=True,
    help="Print the schema of the one pipeline with these fields added, nullable.",
)
@click.option(
    "--kept",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="With --propose: look at what this Avro file keeps (validation.into), not at the source.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def drift(
    config: Path,
    pipelines: tuple[str, ...],
    pages: int,
    examples: bool,
    propose: bool,
    kept: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Print the fields of the records that their schema lacks.

    Each comes with a type that would fit and the number of records that have it. The first pages
    of each pipeline are read, and nothing is written. The /status of a running worker shows the
    same.
    """
    import orjson

    from worker.cli.sampling import drift_of, next_of, next_of_kept

    if kept and not propose:
        raise click.UsageError("--kept counts with --propose")
    if propose:
        if len(pipelines) != 1:
            raise click.UsageError("--propose needs the name of one pipeline")
        name = pipelines[0]
        proposal = next_of_kept(config, name, kept) if kept else next_of(config, name, pages=pages)
        _say(proposal)
        return
    found = drift_of(config, pipelines, pages=pages, examples=examples)
    if as_json:
        click.echo(orjson.dumps(found))
        return
    for each in found:
        counts = f"{len(each['fields'])} fields of {each['records']} records"
        click.echo(f"{each['pipeline']}: {counts} that the schema lacks")
        for field in each["fields"]:
            shown = orjson.dumps(field["type"]).decode()
            like = f", like {orjson.dumps(field['example']).decode()}" if "example" in field else ""
            click.echo(f"  {field['name']}: {shown}, {field['seen']} times{like}")


def load(path: Path) -> Schema:
    """The schema in a file, which may be an Avro file.

    Raises ConfigError with the file, and the place in it.
    """
    from worker.schema import CorruptData, parse_schema
    from worker.schema.container import MAGIC, ContainerReader
    from worker.schema.document import MAX_BYTES

    try:
        with path.open("rb") as file:
            # a pipe cannot go back: schema check <(git show v1:order.avsc) order.avsc
            if file.peek(len(MAGIC)).startswith(MAGIC):
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


def rows(schema: Schema) -> list[Row]:
    """Every field with its nested ones below it; a type that holds itself is shown once.

    Types that hold others several times, on many levels, have fields without end: beyond MANY rows
    every type is shown once.
    """
    table = _Rows(schema)
    table.add(schema.root, "", ())
    return table.rows


class _Rows:
    """The rows of a schema while they are collected."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._shown: set[str] = set()
        self.rows: list[Row] = []

    def add(self, kind: Type, path: str, above: tuple[str, ...]) -> None:
        """Adds the fields of a type.

        Args:
            path: the place of the type.
            above: the names of the records that hold it.
        """
        kind = self._schema.resolve(kind)
        if kind.kind == "record":
            self._add_fields(kind, path, above)
        elif kind.kind == "union":
            for branch in kind.branches:
                self.add(branch, path, above)
        elif kind.items is not None:
            self.add(kind.items, path + ("[]" if kind.kind == "array" else "{}"), above)

    def _add_fields(self, record: Type, path: str, above: tuple[str, ...]) -> None:
        many = len(self.rows) >= MANY
        if record.name in above or (many and record.name in self._shown):
            return
        self._shown.add(record.name)
        for field in record.fields:
            below = f"{path}.{field.name}".lstrip(".")
            self.rows.append((below, _shown(self._schema, field.type), _default(field)))
            self.add(field.type, below, (*above, record.name))


def _default(field: Field) -> str | None:
    import orjson

    from worker.schema.model import NO_DEFAULT

    return None if field.default is NO_DEFAULT else orjson.dumps(field.default).decode()


def _shown(schema: Schema, kind: Type) -> str:
    """A type in a few words."""
    kind = schema.resolve(kind)
    if kind.kind == "union":
        return " | ".join(_shown(schema, each) for each in kind.branches)
    if kind.items is not None:
        return f"{kind.kind} of {_shown(schema, kind.items)}"
    text = {
        "record": f"record {kind.name}",
        "enum": f"enum {kind.name} ({_symbols(kind)})",
        "fixed": f"fixed {kind.name} of {kind.size} bytes",
    }.get(kind.kind, kind.kind)
    logical: Any = kind.logical
    if logical == "decimal":
        logical = f"decimal({kind.precision}, {kind.scale})"
    return f"{text} ({logical})" if logical else text


def _symbols(enum: Type) -> str:
    more = ", ..." if len(enum.symbols) > SHOWN_SYMBOLS else ""
    return ", ".join(enum.symbols[:SHOWN_SYMBOLS]) + more
