"""Packages that only some configs need: they are extras, and imported where they are used."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from worker.config.model import Issues


@dataclass(frozen=True, slots=True)
class Extra:
    """An extra of this package.

    Attributes:
        name: of the extra.
        package: what it installs.
        modules: what is imported of it.
    """

    name: str
    package: str
    modules: tuple[str, ...]

    def check(self, issues: Issues, *path: str) -> None:
        """Adds an issue at the key that needs the extra, where it is not installed."""
        if not all(map(find_spec, self.modules)):
            issues.add(
                path,
                f"this needs the package {self.package}, which is not installed",
                remedy=f"install the extra that has it: pip install 'worker-ingest[{self.name}]'",
            )


AWS: Final = Extra("aws", "botocore", ("botocore",))
JWT: Final = Extra("jwt", "PyJWT", ("jwt", "cryptography"))
