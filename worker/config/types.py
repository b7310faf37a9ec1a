"""The scalar types of the config language: durations, sizes, names, numbers, secrets. Each has its JSON Schema, for editors."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from worker.config.files import read_file
from worker.core.errors import ConfigError
from worker.core.jsonpath import compile_path

DURATION_PATTERN: Final = r"^\d{1,12}(\.\d{1,9})?(ms|s|m|h|d)$"
SIZE_PATTERN: Final = r"^\d{1,15}(B|KiB|MiB|GiB)?$"
NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"
LONGEST_S: Final = 36_500 * 86_400.0
CREDENTIALS: Final = Path("/run/secrets")
"""Where credentials are when $CREDENTIALS_DIRECTORY is not set: the usual mount point of secrets in containers."""
SECRET_BYTES: Final = 64 * 1024

_DURATION: Final = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_SIZE: Final = re.compile(r"(\d{1,15})(B|KiB|MiB|GiB)?", re.ASCII)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_BYTES: Final = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def duration_seconds(value: Any) -> float:
    """Seconds of a text like `30s`; ValueError for anything else."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    seconds = float(match[1]) * _SECONDS[match[2]] if match else -1.0
    if not 0 <= seconds <= LONGEST_S:
        raise ValueError("a duration like 500ms, 30s, 5m, 1h or 7d is needed")
    return seconds


def size_bytes(value: Any) -> int:
    """Bytes of a text like `64KiB` or of a whole number; ValueError for anything else."""
    match = (
        _SIZE.fullmatch(str(value))
        if isinstance(value, str | int) and not isinstance(value, bool)
        else None
    )
    if match is None:
        raise ValueError("a size like 64KiB, 128MiB or 1GiB is needed")
    return int(match[1]) * _BYTES[match[2]]


def _jmespath(value: Any) -> Any:
    if isinstance(value, str):
        try:
            compile_path(value)
        except ConfigError as error:
            raise ValueError(f"{error.message}; {error.remedy}") from error
    return value


_DURATION_SCHEMA: Final = WithJsonSchema(
    {
        "type": "string",
        "pattern": DURATION_PATTERN,
        "description": "a duration: 500ms, 30s, 5m, 1h, 7d",
    }
)
_SIZE_SCHEMA: Final = WithJsonSchema(
    {
        "anyOf": [{"type": "string", "pattern": SIZE_PATTERN}, {"type": "integer", "minimum": 0}],
        "description": "a size: 64KiB",
    }
)

Duration = Annotated[float, BeforeValidator(duration_seconds), _DURATION_SCHEMA]
"""Text like `30s` -> seconds."""

PositiveDuration = Annotated[
    float, BeforeValidator(duration_seconds), Field(gt=0), _DURATION_SCHEMA
]

Size = Annotated[int, BeforeValidator(size_bytes), Field(gt=0), _SIZE_SCHEMA]
"""Text like `64KiB` -> bytes."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]

JmesPath = Annotated[str, BeforeValidator(_jmespath)]
"""A path into a body or a record that compiles."""

# YAML has types, so `true` is no number and "5" is none either: what looks like a mistake is one.
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]


def written(text: str, *, description: str) -> Any:
    """A field whose default is given as it is written in a config, so that the reference shows `30s` and not 30.0."""
    return Field(text, validate_default=True, description=description)


class Model(BaseModel):
    """Base of all settings: frozen, no unknown keys, defaults checked like values, no input in error texts."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
        validate_default=True,
    )


class Wrong:
    """What a validator that compares keys finds: all of it is raised together."""

    def __init__(self) -> None:
        self._details: list[InitErrorDetails] = []

    def add(self, path: tuple[str | int, ...], why: str, *about: str) -> None:
        """`path` is below the model; `about` names other keys that the verdict rests on: it is void when they are wrong themselves."""
        error = PydanticCustomError("refused", "{why}", {"why": why, "about": about})
        self._details.append(InitErrorDetails(type=error, loc=path, input=None))

    def check(self) -> None:
        """Raises what was found, if anything."""
        if self._details:
            raise ValidationError.from_exception_data("settings", self._details, hide_input=True)


class SecretRef(Model):
    """A reference to a secret, resolved when it is used; never text in the config."""

    env: str | None = Field(
        None,
        min_length=1,
        description="name of an environment variable; line ends behind its value are dropped",
    )
    file: Path | None = Field(
        None,
        description="file that holds it, relative to the working directory; line ends behind it are dropped",
    )
    credential: str | None = Field(
        None,
        min_length=1,
        description="name of a file in $CREDENTIALS_DIRECTORY (systemd), or else in /run/secrets",
    )

    @model_validator(mode="after")
    def _one(self) -> SecretRef:
        if sum(each is not None for each in (self.env, self.file, self.credential)) != 1:
            raise ValueError("exactly one of env, file, credential is needed")
        if self.credential is not None and (
            self.credential.startswith("/") or ".." in PurePosixPath(self.credential).parts
        ):
            raise ValueError(
                "credential is the name of a file below the credentials directory; use file: for other paths"
            )
        return self

    @property
    def texts(self) -> tuple[str, ...]:
        """What may hold placeholders."""
        return tuple(
            str(each) for each in (self.env, self.file, self.credential) if each is not None
        )

    def resolve(self, environ: Mapping[str, str], values: Mapping[str, str]) -> str:
        """The secret. `values` fill `{partition.x}` in the reference. Raises ConfigError naming the reference only."""

        def fill(text: str) -> str:
            for name, value in values.items():
                text = text.replace("{partition." + name + "}", value)
            return text

        if self.env is not None:
            name = fill(self.env)
            secret = environ.get(name, "").rstrip("\r\n")
            if not secret:
                state = "empty" if name in environ else "not set"
                raise ConfigError(
                    f"the secret {{env: {name}}} is {state}",
                    remedy=f"set the environment variable {name}",
                )
            return secret
        if self.file is not None:
            return _read(Path(fill(str(self.file))), "check that the file is there and readable")
        directory = environ.get("CREDENTIALS_DIRECTORY")
        place = Path(directory) if directory else CREDENTIALS
        why = (
            "it is looked up in $CREDENTIALS_DIRECTORY"
            if directory
            else f"$CREDENTIALS_DIRECTORY is not set, so it is looked up in {CREDENTIALS}"
        )
        return _read(
            place / fill(self.credential or ""), f"{why}; check that the file is there and readable"
        )


def _read(path: Path, remedy: str) -> str:
    try:
        data = read_file(path, SECRET_BYTES)
        text = data.decode().rstrip("\r\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigError(f"the secret in {path} cannot be read: {why}", remedy=remedy) from error
    if not text or len(data) > SECRET_BYTES:
        raise ConfigError(
            f"the secret in {path} is {'longer than 64 KiB' if text else 'empty'}",
            remedy="write the secret, and nothing else, into the file",
        )
    return text


def _kind_of_secret(value: Any) -> str:
    return "reference" if isinstance(value, dict | SecretRef) else "text"


Secret = Annotated[
    Annotated[str, Tag("text")] | Annotated[SecretRef, Tag("reference")],
    Discriminator(_kind_of_secret),
]
"""A literal, or where the secret is."""


def credential(secret: str | SecretRef, values: Mapping[str, str]) -> str:
    """A secret that goes into a request. Raises ConfigError where a header cannot carry it."""
    text = secret_value(secret, values)
    if _CONTROL.search(text):
        shown = "a secret" if isinstance(secret, str) else f"the secret in {secret.texts[0]}"
        raise ConfigError(
            f"{shown} has control characters or line ends within it",
            remedy="it is one line of text; look for a second line, a tab, or a binary file",
        )
    return text


def secret_value(secret: str | SecretRef, values: Mapping[str, str]) -> str:
    """The text of a literal or a reference."""
    return secret if isinstance(secret, str) else secret.resolve(os.environ, values)
