"""Several things that are wrong are said together: who fixes a config does not want to be told one at a time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from worker.core.errors import ConfigError


class ConfigErrors(ConfigError):
    """Several things are wrong."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)


class Collector:
    """Keeps the ConfigErrors of parts that do not depend on one another."""

    def __init__(self) -> None:
        self.errors: list[ConfigError] = []

    @contextmanager
    def part(self, where: str = "") -> Iterator[None]:
        """Goes on behind a part that is wrong; `where` is the place of errors that name none."""
        try:
            yield
        except ConfigErrors as several:
            self.errors += several.errors
        except ConfigError as error:
            error.where = error.where or where
            self.errors.append(error)

    def check(self) -> None:
        """Raises what was kept: the error itself if it is alone."""
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            raise ConfigErrors(self.errors)
