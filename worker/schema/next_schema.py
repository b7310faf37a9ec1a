"""The next schema of a pipeline: its schema, with the fields that its records have and it lacks.

Every field that is added is nullable with the default null, so the next schema reads all data of
the present one (level BACKWARD), whatever records the sample did not show.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from worker.schema.infer import Surplus, proposed_fields
from worker.schema.model import Schema


def next_schema(schema: Schema, surplus: Surplus) -> str:
    """The next schema, as JSON text; the present one where nothing is lacking.

    Args:
        surplus: what records of the schema have beyond it.
    """
    document = json.loads(schema.source)
    declared = dict(_records(document, ""))
    names = {name.rpartition(".")[2] for name in schema.named}
    for record, fields in proposed_fields(surplus, names).items():
        node = declared[record]
        taken = {each["name"] for each in node["fields"]}
        for field in fields:
            while field["name"] in taken:
                field.setdefault("json_name", field["name"])
                field["name"] += "_"
            taken.add(field["name"])
            node["fields"].append(field)
    return json.dumps(document, indent=2, ensure_ascii=False)


def _records(node: Any, namespace: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(full name, declaration) of every record in a schema document."""
    if isinstance(node, list):
        for each in node:
            yield from _records(each, namespace)
    elif isinstance(node, dict):
        if node.get("type") in ("record", "enum", "fixed"):
            name = node["name"]
            if "." in name:
                namespace = name.rpartition(".")[0]
            else:
                namespace = node.get("namespace", namespace)
                name = f"{namespace}.{name}" if namespace else name
            if node["type"] == "record":
                yield name, node
        for key in ("type", "items", "values"):
            yield from _records(node.get(key), namespace)
        for field in node.get("fields", ()):
            yield from _records(field["type"], namespace)
