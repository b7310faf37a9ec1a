"""The base of every settings model, and how a validator says what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from worker.core.errors import ConfigError


class Model(BaseModel):
    """Base of all settings: frozen, without unknown keys, its defaults checked like values.

    Error texts of pydantic never show the input, which may be a secret.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
        validate_default=True,
    )


def refusal(
    found: str, *, allowed: str = "", remedy: str = "", about: tuple[str, ...] = ()
) -> PydanticCustomError:
    """The error that a validator raises: it becomes a `Problem` with these texts.

    Args:
        found: what is wrong, with the value that was found.
        allowed: what would be right.
        remedy: what to do.
        about: names of other keys that the verdict rests on; it is dropped where one of them is
            wrong itself.
    """
    context = {"found": found, "allowed": allowed, "remedy": remedy, "about": about}
    return PydanticCustomError("refused", "{found}", context)


def unfit(why: str, *, allowed: str, remedy: str) -> PydanticCustomError:
    """The error of a value that is refused by itself.

    What was found is added where it is explained, unless it may be a secret.
    """
    return PydanticCustomError("unfit", "{why}", {"why": why, "allowed": allowed, "remedy": remedy})


def raise_at(path: tuple[str | int, ...], error: ConfigError) -> NoReturn:
    """Raises what a ConfigError says as an issue at `path`."""
    issues = Issues()
    issues.add(path, error.message, remedy=error.remedy)
    issues.check()
    raise AssertionError("check raises")


def keys_of(model: Any) -> list[str]:
    """The keys of a model as they stand in a config; none for what is no model."""
    return [each.alias or name for name, each in getattr(model, "model_fields", {}).items()]


class Issues:
    """What a validator that compares several keys finds: all of it is raised together."""

    def __init__(self) -> None:
        self._details: list[InitErrorDetails] = []

    @contextmanager
    def at(self, *path: str | int) -> Iterator[None]:
        """Notes what a check of the value at `path`, which raises `unfit`, says of it."""
        try:
            yield
        except PydanticCustomError as error:
            self._details.append(InitErrorDetails(type=error, loc=path, input=None))

    def add(
        self,
        path: tuple[str | int, ...],
        found: str,
        *about: str,
        allowed: str = "",
        remedy: str = "",
    ) -> None:
        """Notes an issue at `path`, which is below the model; all others are those of `refusal`."""
        error = refusal(found, allowed=allowed, remedy=remedy, about=about)
        self._details.append(InitErrorDetails(type=error, loc=path, input=None))

    def check(self) -> None:
        """Raises ValidationError with every issue that was added, if there is any."""
        if self._details:
            raise ValidationError.from_exception_data("settings", self._details, hide_input=True)
