"""Names in the config -> the modules behind them, imported when they are first used. Adding a component = one line here."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any, Final

from worker.core.errors import ConfigError

PAGINATION: Final = {
    "none": "worker.sources.pagination.none",
    "link_header": "worker.sources.pagination.link_header",
    "next_url": "worker.sources.pagination.next_url",
    "cursor": "worker.sources.pagination.cursor",
    "page": "worker.sources.pagination.page",
    "offset": "worker.sources.pagination.offset",
    "window": "worker.sources.pagination.window",
}

TRANSFORMS: Final = {
    name: f"worker.transforms.{name}"
    for name in ("select", "drop", "rename", "set", "filter", "mask", "python")
}


def component(table: dict[str, str], what: str, name: Any) -> ModuleType:
    """The module of a component. Raises ConfigError with the names there are."""
    if not isinstance(name, str) or name not in table:
        raise ConfigError(f"unknown {what} {name!r}", remedy=f"there are {', '.join(table)}")
    return import_module(table[name])
