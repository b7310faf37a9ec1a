"""The module that transform-python.yaml names."""

from typing import Any


def tidy(record: dict[str, Any]) -> dict[str, Any] | None:
    """Drops records without a name, trims the others."""
    name = record["name"].strip()
    return {**record, "name": name} if name else None
