"""Tables of components: the name that a config has for one -> the module, imported when used.

Adding a component is one file and one line here. A package from outside joins a table by an entry
point of the same form (`letters = "package.module"`) in the group of the kind. Entry points are
looked up only for names that the tables lack.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from worker.core.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of component.

    Attributes:
        what: one of them, in words.
        group: the group of the entry points of packages outside.
        built_in: name in a config -> module.
        parts: what a module must have; one of these lists, where there are several.
    """

    what: str
    group: str
    built_in: Mapping[str, str]
    parts: tuple[tuple[str, ...], ...] = (("Config", "build"),)

    def names(self) -> list[str]:
        """Every name that there is. Raises ConfigError for an entry point whose name is taken."""
        return [*self.built_in, *self._from_outside()]

    def has(self, name: Any) -> bool:
        """Whether there is a component of this name. Raises ConfigError as `names` does."""
        return isinstance(name, str) and (name in self.built_in or name in self._from_outside())

    def load(self, name: Any) -> Any:
        """The module of a component.

        Raises ConfigError for an unknown name, with the names there are, and for a package that
        cannot be imported.
        """
        if isinstance(name, str) and name in self.built_in:
            return import_module(self.built_in[name])
        outside = self._from_outside()
        if not isinstance(name, str) or name not in outside:
            raise ConfigError(
                f"unknown {self.what} {name!r}", remedy=f"there are {', '.join(self.names())}"
            )
        return self._imported(outside[name])

    def _from_outside(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        for each in _entry_points(self.group, tuple(sys.path)):
            if each.name in self.built_in:
                raise ConfigError(
                    f"{_described(each)} has the name of a built-in {self.what}",
                    remedy="uninstall that package, or let it choose another name",
                )
            if each.name in found:
                raise ConfigError(
                    f"{_described(each)} has the same name as {_described(found[each.name])}",
                    remedy="uninstall one of the two packages",
                )
            found[each.name] = each
        return found

    def _imported(self, entry_point: EntryPoint) -> Any:
        try:
            module = entry_point.load()
        except (Exception, SystemExit) as error:  # the border to code that is not ours
            raise ConfigError(
                f"{_described(entry_point)} cannot be imported: {type(error).__name__}: {error}",
                remedy=(
                    "mend or uninstall that package; "
                    f"python -c 'import {entry_point.value.partition(':')[0]}' shows it too"
                ),
            ) from error
        if not any(all(hasattr(module, name) for name in names) for names in self.parts):
            needed = ", or ".join(" and ".join(names) for names in self.parts)
            raise ConfigError(
                f"{_described(entry_point)} is no {self.what}: it needs {needed}",
                remedy=(
                    "mend or uninstall that package; docs/how-to/add-a-component.md has an example"
                ),
            )
        return module


@lru_cache
def _entry_points(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """The entry points that the distributions on `path`, which is `sys.path`, have in a group."""
    from importlib.metadata import entry_points  # 20 ms that most commands never need

    return tuple(entry_points(group=group))


def _described(entry_point: EntryPoint) -> str:
    package = "" if entry_point.dist is None else f" of the package {entry_point.dist.name}"
    return f"the entry point {entry_point.group}: {entry_point.name} = {entry_point.value}{package}"


SOURCES: Final = Kind(
    "source type",
    "worker.sources",
    {"http": "worker.sources.http"},
)

PAGINATIONS: Final = Kind(
    "pagination type",
    "worker.paginations",
    {
        "none": "worker.sources.pagination.none",
        "link_header": "worker.sources.pagination.link_header",
        "next_url": "worker.sources.pagination.next_url",
        "cursor": "worker.sources.pagination.cursor",
        "page": "worker.sources.pagination.page",
        "offset": "worker.sources.pagination.offset",
        "window": "worker.sources.pagination.window",
    },
)

AUTH: Final = Kind(
    "auth type",
    "worker.auth",
    {
        "basic": "worker.http.auth.basic",
        "bearer": "worker.http.auth.bearer",
        "api_key": "worker.http.auth.api_key",
        "oauth2_client_credentials": "worker.http.auth.oauth2_client_credentials",
        "oauth2_refresh_token": "worker.http.auth.oauth2_refresh_token",
        "oauth2_password": "worker.http.auth.oauth2_password",
        "oauth2_jwt_bearer": "worker.http.auth.oauth2_jwt_bearer",
        "session": "worker.http.auth.session",
        "digest": "worker.http.auth.digest",
        "aws_sigv4": "worker.http.auth.aws_sigv4",
    },
)

FORMATS: Final = Kind(
    "format",
    "worker.formats",
    {
        "json": "worker.formats.json",
        "json_stream": "worker.formats.json_stream",
        "ndjson": "worker.formats.ndjson",
        "csv": "worker.formats.csv",
        "xml": "worker.formats.xml",
        "avro": "worker.formats.avro",
    },
    (("Decode", "pages"), ("CODECS", "EXTENSIONS", "rows", "encoder", "rows_in")),
)

TRANSFORMS: Final = Kind(
    "transform",
    "worker.transforms",
    {
        "select": "worker.transforms.select",
        "drop": "worker.transforms.drop",
        "rename": "worker.transforms.rename",
        "set": "worker.transforms.set",
        "filter": "worker.transforms.filter",
        "mask": "worker.transforms.mask",
        "python": "worker.transforms.python",
    },
    (("Config", "apply"),),
)

SINKS: Final = Kind(
    "sink type",
    "worker.sinks",
    {"files": "worker.sinks.files"},
    (("Config", "build", "root", "commits"),),
)

STATE: Final = Kind(
    "state type",
    "worker.state",
    {"sqlite": "worker.state.sqlite"},
)

KINDS: Final = (SOURCES, PAGINATIONS, AUTH, FORMATS, TRANSFORMS, SINKS, STATE)
