"""The scalar types of the config language: durations, sizes, names, secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from worker.core.errors import ConfigError

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SIZE: Final = re.compile(r"(\d+)(B|KiB|MiB|GiB)?")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES: Final = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def duration_seconds(value: Any) -> float:
    """Seconds of a text like `30s`; ValueError for anything else."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a duration like 500ms, 30s, 5m, 1h or 7d is needed")
    return float(match[1]) * _SECONDS[match[2]]


def _size(value: Any) -> int:
    match = _SIZE.fullmatch(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
    if match is None:
        raise ValueError("a size like 64KiB or 128MiB is needed")
    return int(match[1]) * _BYTES[match[2]]


Duration = Annotated[float, BeforeValidator(duration_seconds)]
"""Text like `30s` -> seconds."""

Size = Annotated[int, BeforeValidator(_size)]
"""Text like `64KiB` -> bytes."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class Model(BaseModel):
    """Base of all settings: frozen, no unknown keys, no defaults in YAML that are not checked, no input in error texts."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True)


class SecretRef(Model):
    """A reference to a secret, resolved when it is used; never text in the config.

    `credential` is a file name in $CREDENTIALS_DIRECTORY (systemd) or /run/secrets.
    """

    env: str | None = Field(None, description="environment variable")
    file: Path | None = Field(None, description="file")
    credential: str | None = Field(None, description="file in the credentials directory")

    @model_validator(mode="after")
    def _one(self) -> SecretRef:
        if sum(each is not None for each in (self.env, self.file, self.credential)) != 1:
            raise ValueError("exactly one of env, file, credential is needed")
        return self

    def resolve(self, environ: Mapping[str, str], values: Mapping[str, str]) -> str:
        """The secret. `values` fill `{partition.x}` in the reference. Raises ConfigError naming the reference only."""

        def fill(text: str) -> str:
            for name, value in values.items():
                text = text.replace("{partition." + name + "}", value)
            return text

        if self.env is not None:
            name = fill(self.env)
            if name not in environ:
                raise ConfigError(f"the secret {{env: {name}}} is not set", remedy=f"set the environment variable {name}")
            return environ[name]
        directory = Path(environ.get("CREDENTIALS_DIRECTORY", "/run/secrets"))
        path = Path(fill(str(self.file))) if self.file is not None else directory / fill(self.credential or "")
        try:
            return path.read_text().rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the secret in {path} cannot be read", remedy="check that the file is there and readable") from error


Secret = str | SecretRef


def secret_value(secret: Secret, values: Mapping[str, str]) -> str:
    """The text of a literal or a reference."""
    return secret if isinstance(secret, str) else secret.resolve(os.environ, values)
