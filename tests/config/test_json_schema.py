"""The JSON Schema for editors: it takes what the program takes, and draws red lines where it can."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from test_settings import DESIGN

from worker.cli import cli
from worker.config.json_schema import config_schema
from worker.config.yaml import load_yaml
from worker.settings import Settings

ROOT = Path(__file__).parents[2]
SCHEMA = config_schema(Settings)
TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}
KNOWN = {"$schema", "$defs", "title", "description", "default", "format", "discriminator", "enum", "const", "type", "$ref", "anyOf", "oneOf", "if", "then", "not",
         "properties", "patternProperties", "additionalProperties", "required", "items", "pattern", "minLength", "minItems", "minProperties", "propertyNames",
         "minimum", "maximum", "exclusiveMinimum"}  # fmt: skip


def fits(schema: Any, value: Any) -> bool:
    """A validator of the part of JSON Schema that is used; any other keyword fails."""
    if isinstance(schema, bool):
        return schema
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema and not fits(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], value):
        return False
    if "type" in schema:
        number = isinstance(value, bool) and schema["type"] in ("integer", "number")
        if number or not isinstance(value, TYPES[schema["type"]]):
            return False
    checks = [
        "enum" not in schema
        or any(type(each) is type(value) and each == value for each in schema["enum"]),
        "const" not in schema
        or (type(schema["const"]) is type(value) and schema["const"] == value),
        "anyOf" not in schema or any(fits(each, value) for each in schema["anyOf"]),
        "oneOf" not in schema or sum(fits(each, value) for each in schema["oneOf"]) == 1,
        "not" not in schema or not fits(schema["not"], value),
        "if" not in schema or not fits(schema["if"], value) or fits(schema["then"], value),
    ]
    if isinstance(value, str):
        checks += [
            re.search(schema.get("pattern", ""), value) is not None,
            len(value) >= schema.get("minLength", 0),
        ]
    if isinstance(value, int | float) and not isinstance(value, bool):
        checks += [
            value >= schema.get("minimum", value),
            value <= schema.get("maximum", value),
            value > schema.get("exclusiveMinimum", value - 1),
        ]
    if isinstance(value, list):
        checks += [fits(schema.get("items", {}), each) for each in value] + [
            len(value) >= schema.get("minItems", 0)
        ]
    if isinstance(value, dict):
        checks += [key in value for key in schema.get("required", ())] + [
            len(value) >= schema.get("minProperties", 0)
        ]
        for key, inner in value.items():
            below = [schema["properties"][key]] if key in schema.get("properties", {}) else []
            below += [
                each
                for pattern, each in schema.get("patternProperties", {}).items()
                if re.search(pattern, key)
            ]
            checks += (
                [fits(each, inner) for each in below]
                if below
                else [fits(schema.get("additionalProperties", {}), inner)]
            )
            checks += [fits(schema.get("propertyNames", {}), key)]
    return all(checks)


@pytest.mark.parametrize("path", sorted(ROOT.glob("configs/*.yaml")), ids=lambda path: path.name)
def test_the_examples_fit(path: Path) -> None:
    assert fits(SCHEMA, load_yaml(path).values)


def test_the_whole_language_fits(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(DESIGN)
    assert fits(SCHEMA, load_yaml(tmp_path / "a.yaml").values)


def changed(*path: Any, value: Any = ..., extra: dict[str, Any] | None = None) -> Any:
    """The quickstart with one value changed, taken out (no value), or more keys at the root."""
    document = copy.deepcopy(load_yaml(ROOT / "configs" / "quickstart.yaml").values) | (extra or {})
    holder: Any = document
    for part in path[:-1]:
        holder = holder[part]
    if value is ...:
        holder.pop(path[-1]) if path else None
    else:
        holder[path[-1]] = value
    return document


FLIGHTS = ("pipelines", "flights")


@pytest.mark.parametrize(
    "document",
    [
        changed(*FLIGHTS, "source", "x-note", value=1),
        changed("pipelines", "x-common", value=5),
        changed(*FLIGHTS, "sink", "codec", value=None),
        changed(
            *FLIGHTS, "source", "auth", value={"type": "bearer", "token": {"credential": "api"}}
        ),
        changed(
            *FLIGHTS,
            "schema",
            extra={"defaults": {"schema": "a.avsc", "source": {"retry": {"cap": "5s"}}}},
        ),
        changed(
            *FLIGHTS,
            "transforms",
            value=[{"python": "a.b:c"}, {"python": {"function": "a:b", "values": "native"}}],
        ),
    ],
)
def test_what_check_takes_fits(document: Any) -> None:
    assert fits(SCHEMA, document)


@pytest.mark.parametrize(
    "document",
    [
        changed("version"),
        changed("version", value=2),
        changed("stat", value={}),
        changed(*FLIGHTS, "schema"),
        changed(*FLIGHTS, "source", "url"),
        changed("pipelines", "Flights", value={}),
        changed(*FLIGHTS, "source", "pagination", "type", value="curser"),
        changed(*FLIGHTS, "source", "pagination", "total", value={"bdy": "a"}),
        changed(*FLIGHTS, "source", "retry", "base", value="50"),
        changed(*FLIGHTS, "source", "concurrency", value=0),
        changed(*FLIGHTS, "sink", "roll", "bytes", value="16MB"),
        changed(*FLIGHTS, "sink", "codec", value="lz4"),
        changed(*FLIGHTS, "source", "auth", value={"type": "bearer", "token": {"vault": "api"}}),
        changed(extra={"defaults": {"source": {"retry": {"cap": 5}}}}),
    ],
)
def test_what_check_refuses_does_not_fit(document: Any) -> None:
    assert not fits(SCHEMA, document)


def test_every_key_has_a_description() -> None:
    without = [
        f"{name}.{key}"
        for name, definition in {"Settings": SCHEMA, **SCHEMA["$defs"]}.items()
        for key, each in definition.get("properties", {}).items()
        if not each.get("description")
    ]
    assert without == []


def test_the_command_prints_it() -> None:
    result = CliRunner().invoke(cli, ["schema", "config"])
    assert result.exit_code == 0 and json.loads(result.output) == json.loads(json.dumps(SCHEMA))
