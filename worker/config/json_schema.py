"""The config language as JSON Schema: completion, descriptions and red lines in editors.

Rules between keys (`url` or `origin`, marks, placeholders) are beyond it where they are more than
one-of; `check` has the last word.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from pydantic import BaseModel

from worker.config.scalars import NAME_PATTERN

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_PARTIAL: Final = "Partial"


def config_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a config file, whose model is that of the whole config."""
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.setdefault("$defs", {})
    partial = {f"{_PARTIAL}{name}": _partial(each) for name, each in definitions.items()}
    schema["properties"]["defaults"] = {
        "$ref": f"#/$defs/{_PARTIAL}PipelineSettings",
        "description": "merged under every pipeline: maps deep, lists replaced",
    }
    definitions.update(
        {
            name: each
            for name, each in partial.items()
            if name in _used(partial, f"{_PARTIAL}PipelineSettings")
        }
    )
    found: dict[str, Any] = _with_holders(schema)
    whole = found["properties"]["pipelines"]
    found["properties"]["pipelines"] = _partial(whole)
    found["if"] = {
        "not": {"required": ["defaults"]}
    }  # without defaults under it, a pipeline is complete
    found["then"] = {"properties": {"pipelines": whole}}
    return {"$schema": DIALECT, **found, "title": "worker config"}


def _partial(node: Any) -> Any:
    """The same without required keys, all the way down."""
    if isinstance(node, list):
        return [_partial(each) for each in node]
    if not isinstance(node, dict):
        return node
    return _loosened(
        {key: _partial(value) for key, value in node.items() if not _demands(key, value)}
    )


def _loosened(found: dict[str, Any]) -> dict[str, Any]:
    """A node of partial ones: it refers to partial definitions, and alternatives may overlap."""
    if isinstance(found.get("$ref"), str):
        found["$ref"] = found["$ref"].replace("#/$defs/", f"#/$defs/{_PARTIAL}")
    if "oneOf" in found:  # without its type a value may be one of several
        found["anyOf"] = found.pop("oneOf")
    if "anyOf" in found:
        found["anyOf"] = [each for each in found["anyOf"] if each] or [{}]
    return found


def _demands(key: str, value: Any) -> bool:
    """Whether this is the list of the required keys of an object, and no key called `required`."""
    return key == "required" and isinstance(value, list)


def _used(definitions: dict[str, Any], root: str) -> set[str]:
    """Names of the definitions that `root` needs."""
    seen: set[str] = set()
    waiting: list[Any] = [{"$ref": f"#/$defs/{root}"}]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            name = str(node.get("$ref", "")).rpartition("/")[2]
            if name and name not in seen:
                seen.add(name)
                waiting.append(definitions[name])
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return seen


def _with_holders(node: Any) -> Any:
    """The same with keys that begin with `x-` wherever the language has keys of its own.

    They are never names of pipelines.
    """
    if isinstance(node, list):
        return [_with_holders(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {key: _with_holders(value) for key, value in node.items()}
    patterns = found.get("patternProperties")
    if isinstance(patterns, dict) and NAME_PATTERN in patterns:
        found["patternProperties"] = {
            NAME_PATTERN.replace("^", "^(?!x-)", 1): patterns[NAME_PATTERN]
        }
        found["additionalProperties"] = False
    if found.get("additionalProperties") is False:
        found["patternProperties"] = {
            **copy.deepcopy(found.get("patternProperties", {})),
            "^x-": {},
        }
    return found
