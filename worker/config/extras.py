"""Packages that only some configs need: they are extras, and imported where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from worker.core.errors import ConfigError


def needed(module: str, package: str, extra: str, what: str) -> Any:
    """The module of a package. Raises ConfigError, which names the extra, where it is missing.

    Args:
        what: what needs it, in words.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{what} needs the package {package}, which cannot be imported: {error}",
            remedy=f"install worker-ingest[{extra}]",
        ) from error
