"""Collects the errors of independent parts of a config, so that all are reported at once. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from worker.core.errors import ConfigError


class ConfigErrors(ConfigError):
    """The configuration is wrong in several places; each line of the message is one of them."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)


class Collector:
    """Keeps the ConfigErrors of parts that do not depend on one another."""

    def __init__(self) -> None:
        self.errors: list[ConfigError] = []

    @contextmanager
    def part(self, where: str = "") -> Iterator[None]:
        """Keeps a ConfigError that is raised inside, so that the code after this part still runs.

        Args:
            where: the place to look at, for errors that name none.
        """
        try:
            yield
        except ConfigErrors as several:
            self.errors += several.errors
        except ConfigError as error:
            error.where = error.where or where
            self.errors.append(error)

    def check(self) -> None:
        """Raises what was kept: nothing, the one error itself, or ConfigErrors for several."""
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            raise ConfigErrors(self.errors)
