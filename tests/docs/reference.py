"""The reference pages, from the code. `make docs` writes them; a test compares."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from docs.spellings import values_page
from faults.page import faults_page

import worker
from worker.cli import cli
from worker.config.json_schema import config_schema
from worker.core.errors import Exit, WorkerError
from worker.settings import Settings

DOCS = Path(__file__).parents[2] / "docs" / "reference"
_SIZE, _DURATION = "a size: 64KiB", "a duration: 500ms, 30s, 5m, 1h, 7d"
_NUMBERS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "map",
    "array": "list",
}
_BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
}

CONFIG_HEAD = """# Config reference

This page is generated from the code by `make docs`.
`worker schema config` prints the same as JSON Schema, for editors.
`worker check` also checks what a schema cannot say.

* Durations are written `500ms 30s 5m 1h 7d`, sizes `64KiB 128MiB`.
* Paths into bodies and records are JMESPath.
* Keys that begin with `x-` are ignored, so that they can hold YAML anchors; every other unknown key is an error.
* `defaults:` takes every key of a pipeline and is merged under each pipeline: maps key by key, lists as a whole.
* Schemas are relative to the config file; `state` and outputs are relative to the working directory.
* A secret is a literal or a reference: `{env: NAME}`, `{file: PATH}`, `{credential: NAME}`.
  References may contain `{partition.NAME}`.
* An environment variable overrides a scalar.
  Its name is `WORKER_` and the key path, with `__` between the keys and `_` for `-`: `WORKER_ADMIN__LISTEN`.
  Unknown variables with this prefix are errors, except those that Kubernetes sets for a service called worker (`WORKER_PORT`, `WORKER_SERVICE_HOST`).
"""

CLI_HEAD = """# Command line reference

This page is generated from the code by `make docs`.
`python -m worker` is the same as `worker`.

Exit codes:

| code | meaning |
|---|---|
"""

MEANINGS = {
    Exit.OK: "All is well.",
    Exit.FAILED: "A pipeline failed permanently. `status`: the worker is not ready.",
    Exit.USAGE: "The command line is wrong.",
    Exit.DATA: "Data quality stopped a pipeline, a schema is incompatible, or files differ from the commit log.",
    Exit.UNAVAILABLE: "A source or a schema registry was unavailable after all retries. `status`: nobody answers.",
    Exit.BUG: "This is a bug; please report it.",
    Exit.IO: "An output or the state cannot be read or written.",
    Exit.BUSY: "Another instance holds the state, or owns a partition.",
    Exit.PERMISSION: "A source or a schema registry refused the credentials.",
    Exit.CONFIG: "The config is wrong, or does not fit the state; every problem was printed with its place.",
}


# -- config ----------------------------------------------------------------------------------------


def config_page() -> str:
    schema = config_schema(Settings)
    definitions = schema["$defs"]
    lines = [CONFIG_HEAD, "## Top level", "", *_table(schema, definitions)]
    seen: set[str] = set()
    for title, name in _sections(schema, definitions, "", seen):
        lines += _section(title, definitions[name], definitions)
    return "\n".join(lines) + "\n"


def _section(title: str, node: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    return [
        "",
        f"## {title}",
        "",
        node.get("description", "").replace("\n", " "),
        "",
        *_table(node, definitions),
    ]


def _sections(
    node: dict[str, Any], definitions: dict[str, Any], path: str, seen: set[str]
) -> Iterator[tuple[str, str]]:
    """(title, definition) of everything below, each once, in the order of the language."""
    for key, value in node.get("properties", {}).items():
        if key in ("defaults", "title"):
            continue
        for name, below in _references(value, f"{path}.{key}".lstrip(".")):
            name = name.removeprefix("Partial")
            if name not in seen:
                seen.add(name)
                kind = definitions[name].get("properties", {}).get("type", {}).get("const")
                yield f"`{below}`" + (f" of type `{kind}`" if kind else ""), name
                yield from _sections(definitions[name], definitions, below, seen)


def _references(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        return
    if "$ref" in value:
        yield value["$ref"].rpartition("/")[2], path
    for key in ("anyOf", "oneOf"):
        for each in value.get(key, ()):
            yield from _references(each, path)
    if "items" in value:
        yield from _references(value["items"], f"{path}[]")
    for pattern, each in value.get("patternProperties", {}).items():
        if not pattern.startswith("^x-"):
            yield from _references(each, f"{path}.NAME")
    if isinstance(value.get("additionalProperties"), dict):
        yield from _references(value["additionalProperties"], f"{path}.NAME")


def _table(node: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, value in node.get("properties", {}).items():
        needed = key in node.get("required", ())
        default = "**needed**" if needed else _shown(value.get("default", ""))
        rows.append(
            f"| `{key}` | {_type(value, definitions)} | {default} | {_cell(value.get('description', 'this kind' if 'const' in value else ''))} |"
        )
    return rows


def _shown(default: Any) -> str:
    if default == "" or default is None or default == {} or default == []:
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _type(value: Any, definitions: dict[str, Any]) -> str:
    if not isinstance(value, dict) or not value:
        return "anything"
    if "$ref" in value:
        return "map"
    if value.get("description") == _DURATION or str(value.get("pattern", "")).startswith(
        "^\\d{1,12}"
    ):
        return "duration"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return " \\| ".join(f"`{each}`" for each in value["enum"] if each is not None)
    for key in ("anyOf", "oneOf"):
        if key in value:
            if any("KiB" in str(each.get("pattern")) for each in value[key]):
                return "size"
            kinds = list(dict.fromkeys(_type(each, definitions) for each in value[key]))
            return " \\| ".join(each for each in kinds if each != "null") or "null"
    if value.get("type") == "array":
        return f"list of {_type(value.get('items', {}), definitions)}"
    name = _NUMBERS.get(value.get("type", ""), "anything")
    bounds = [text.format(value[key]) for key, text in _BOUNDS.items() if key in value]
    return f"{name} {', '.join(bounds)}".strip()


# -- command line ----------------------------------------------------------------------------------


def cli_page() -> str:
    lines = [
        CLI_HEAD.rstrip("\n"),
        *(f"| {int(code)} | {MEANINGS[code]} |" for code in Exit),
        "| 130, 143 | A second SIGINT or SIGTERM ended the process at once, or the first one did where nothing drains yet. |",
    ]
    for name in cli.list_commands(None):  # type: ignore[arg-type]
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        lines += _command(command, f"worker {name}")
    return "\n".join(lines) + "\n"


def _command(command: click.Command, name: str) -> list[str]:
    if isinstance(command, click.Group):
        found = ["", f"## {name}", "", command.help or ""]
        for each in command.commands.values():
            found += [
                line.replace("## ", "### ", 1) if line.startswith("## ") else line
                for line in _command(each, f"{name} {each.name}")
            ]
        return found
    with click.Context(command, info_name=name) as context:
        usage = command.get_usage(context).removeprefix("Usage: ")
        rows = [
            record
            for each in command.params
            if (record := each.get_help_record(context)) is not None and record[1]
        ]
        found = [
            "",
            f"## {name}",
            "",
            "```",
            re.sub(r"\s+", " ", usage),
            "```",
            "",
            re.sub(r"[ \t]*\n[ \t]*", "\n", (command.help or "").strip()),
        ]
        if rows:
            found += [
                "",
                "| option | meaning |",
                "|---|---|",
                *(f"| `{_cell(option)}` | {_cell(text)} |" for option, text in rows),
            ]
        return found


# -- errors ----------------------------------------------------------------------------------------

ERRORS_HEAD = """# Errors

This page is generated from the code by `make docs`.
Every error that the program prints has a stable code in brackets, the place, what was found, and what can be done:

```
error [config]
  where:  worker.yaml:9: pipelines.orders.sink.partition_by
  what:   ...
  remedy: ...
```

The same codes are in log lines (`code`), in metrics (`code`, `reason`) and in `/status`.

## Errors of pipelines and commands

The exit code is that of a run which ends with the error.
A parked partition is probed again after 60 seconds, then each time after twice as long, up to an hour.
With `--once` it is not probed again: the others go on, and the run ends with its error.

| code | exit | meaning |
|---|---|---|
"""

REJECT_HEAD = """
## Codes of rejects

A dead letter has one of these in `code`.
Its `stage` says which step rejected the record: `decode`, `validate`, `transform` or `route`.

| code | meaning |
|---|---|
"""

REJECTS = {
    "partition_unknown": "A step needs a value of the partition, and a replay knows none any more.",
    "invalid": "Fields are not what the schema says; `errors` names every one of them.",
    "no_json": "The record is no JSON value, or holds a scalar that JSON does not have.",
    "wrong_columns": "A row of CSV has more or fewer values than there are columns.",
    "record_too_large": "The record has more bytes than `source.limits.record`.",
    "nested_too_deep": "The record has more levels than `source.limits.depth`, or than a parser can follow.",
    "no_elements": "An item has no array at `source.records.each`, or no object for `zip`.",
    "more_than_names": "A record is an array of more values than `source.records.names`.",
    "field_taken": "A record has a field of its own under a name that it gets from around it, with another value.",
    "bad_body": "The whole body is no valid document, and `source.on_body_error` is `dead_letter`.",
    "incremental_value": "The value of `incremental.field` is absent or not of `incremental.format`.",
    "division_by_zero": "An expression divides by zero.",
    "overflow": "The result of an expression is beyond 64 bits.",
    "conversion": "An expression converts a value that the other type cannot hold, such as text that is no number or no time.",
    "too_long": "An expression makes a text of more than 1048576 characters, or replaces more than 50000 parts of one.",
    "output": "The output schema does not allow a computed value.",
    "python_error": "The function of a `python` step raised an exception.",
    "python_result": "What the function of a `python` step returned is no record of the output schema.",
    "route_value": "A value cannot name a directory, such as a time outside the years 1 to 9999.",
    "route_too_long": "A segment of the directory would have more than 200 bytes.",
}


UNSEEN = {"error": "the base", "corrupt_data": "a base", "deferred": "never leaves the program"}


def error_classes() -> list[type[WorkerError]]:
    """Every error class of the program, bases before what is derived from them."""
    for module in pkgutil.walk_packages(worker.__path__, "worker."):
        if module.name not in ("worker.__main__", "worker.demo.make_data"):  # they run
            import_module(module.name)
    return [WorkerError, *_below(WorkerError)]


def errors_page() -> str:
    classes = {error.code: error for error in reversed(error_classes()) if error.code not in UNSEEN}
    rows = [
        f"| `{code}` | {int(error.exit)} | {_cell(error.meaning())} |"
        for code, error in sorted(classes.items(), key=lambda item: (int(item[1].exit), item[0]))
    ]
    rejects = [f"| `{code}` | {meaning} |" for code, meaning in REJECTS.items()]
    return ERRORS_HEAD + "\n".join(rows) + "\n" + REJECT_HEAD + "\n".join(rejects) + "\n"


def _below(error: type[WorkerError]) -> Iterator[type[WorkerError]]:
    for each in error.__subclasses__():
        yield each
        yield from _below(each)


PAGES = {
    "config.md": config_page,
    "cli.md": cli_page,
    "errors.md": errors_page,
    "faults.md": faults_page,
    "values.md": values_page,
}

if __name__ == "__main__":
    DOCS.mkdir(parents=True, exist_ok=True)
    for file, make in PAGES.items():
        (DOCS / file).write_text(make())
