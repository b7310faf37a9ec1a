"""The reference pages, from the code. `make docs` writes them; a test compares."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click

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

Generated from the code by `make docs`. `worker schema config` prints the same as JSON Schema, for editors; `worker check` has the last word.

* Durations are written `500ms 30s 5m 1h 7d`, sizes `64KiB 128MiB`. Paths into bodies and records are JMESPath.
* Keys that begin with `x-` are ignored (they hold YAML anchors); every other unknown key is an error.
* `defaults:` takes every key of a pipeline and is merged under each: maps deep, lists replaced.
* Schemas are relative to the config file, `state` and outputs to the working directory.
* A secret is a literal or a reference: `{env: NAME}`, `{file: PATH}`, `{credential: NAME}`; references may contain `{partition.NAME}`.
* An environment variable `WORKER_` + key path with `__` between the keys (`WORKER_ADMIN__LISTEN`) overrides a scalar; unknown ones are errors.
  `-` in a name is written `_`. What Kubernetes sets for a service called worker (`WORKER_PORT`, `WORKER_SERVICE_HOST`) is ignored.
"""

CLI_HEAD = """# Command line reference

Generated from the code by `make docs`. `python -m worker` is the same as `worker`.

Exit codes:

| code | meaning |
|---|---|
"""

MEANINGS = {
    Exit.OK: "all is well",
    Exit.FAILED: "a pipeline failed permanently; `status`: it is not ready",
    Exit.USAGE: "wrong use of the command line",
    Exit.DATA: "data: stopped by data quality, an incompatible schema, files that are not what the commit log says",
    Exit.UNAVAILABLE: "a source was unavailable after all retries (`--once`); `status`: nobody answers",
    Exit.BUG: "a bug, please report it",
    Exit.IO: "I/O: outputs or state cannot be written",
    Exit.BUSY: "another instance holds the state, or owns a partition",
    Exit.PERMISSION: "permission, or credentials that were refused",
    Exit.CONFIG: "the config is wrong; every problem was printed with its place",
}


# -- config -------------------------------------------------------------------------------------------------------


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


# -- command line -------------------------------------------------------------------------------------------------


def cli_page() -> str:
    lines = [
        CLI_HEAD.rstrip("\n"),
        *(f"| {int(code)} | {MEANINGS[code]} |" for code in Exit),
        "| 130, 143 | forced by a second SIGINT, SIGTERM; or by the first where nothing drains yet |",
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


# -- errors -------------------------------------------------------------------------------------------------------

ERRORS_HEAD = """# Errors

Generated from the code by `make docs`. Every error that the program prints has a stable code in brackets, where it is, what was found and what to do:

```
error [config]
  where:  worker.yaml:9: pipelines.orders.sink.partition_by
  what:   ...
  remedy: ...
```

The same codes are in log lines (`code`), metrics (`code`, `reason`), `/status` and dead letters.

## Errors of pipelines and commands

| code | exit | meaning |
|---|---|---|
"""

REJECT_HEAD = """
## Codes of rejects

What dead letters carry in `code`; `stage` says where: decode, validate, transform, output, route.

| code | meaning |
|---|---|
"""

REJECTS = {
    "invalid": "fields that are not what the schema says; `errors` names every one",
    "no_json": "the record is no JSON value, or holds what JSON cannot",
    "record_too_large": "more bytes than `source.limits.record`",
    "nested_too_deep": "more levels than `source.limits.depth`, or than a parser can follow",
    "bad_body": "a whole body, with `on_body_error: dead_letter`",
    "division_by_zero": "in an expression",
    "overflow": "a result beyond 64 bits, in an expression",
    "conversion": "text that is no number or date, in an expression",
    "output": "a computed value that the output schema does not allow",
    "python_error": "the function of a `python` step raised",
    "python_result": "what it returned is no record of the output schema",
    "route_value": "a value that cannot name a directory, such as a time out of range",
    "route_too_long": "a segment of the directory would have more than 200 bytes",
}


def errors_page() -> str:
    for module in pkgutil.walk_packages(worker.__path__, "worker."):
        if module.name.startswith(
            (
                "worker.core",
                "worker.schema",
                "worker.http",
                "worker.supervisor",
                "worker.config",
                "worker.state",
                "worker.sinks",
            )
        ):
            import_module(module.name)
    classes = {
        error.code: error
        for error in reversed(list(_below(WorkerError)))
        if error.code not in ("error", "corrupt_data", "deferred")
    }
    rows = [
        f"| `{code}` | {int(error.exit)} | {_cell(' '.join(re.split(r'(?:Args|Attributes):', error.__doc__ or '')[0].split()))} |"
        for code, error in sorted(classes.items(), key=lambda item: (int(item[1].exit), item[0]))
    ]
    rejects = [f"| `{code}` | {meaning} |" for code, meaning in REJECTS.items()]
    return ERRORS_HEAD + "\n".join(rows) + "\n" + REJECT_HEAD + "\n".join(rejects) + "\n"


def _below(error: type[WorkerError]) -> Iterator[type[WorkerError]]:
    for each in error.__subclasses__():
        yield each
        yield from _below(each)


PAGES = {"config.md": config_page, "cli.md": cli_page, "errors.md": errors_page}

if __name__ == "__main__":
    DOCS.mkdir(parents=True, exist_ok=True)
    for file, make in PAGES.items():
        (DOCS / file).write_text(make())
