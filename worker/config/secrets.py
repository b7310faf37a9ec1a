"""Secrets: literals, and references that are resolved with each use, so they may be rotated."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from worker.config.files import read_file
from worker.config.model import Model, unfit
from worker.config.scalars import PositiveDuration
from worker.core.errors import ConfigError

CREDENTIALS: Final = Path("/run/secrets")
"""The place of credentials without $CREDENTIALS_DIRECTORY: where containers mount secrets."""
SECRET_BYTES: Final = 64 * 1024

_PARTITION: Final = re.compile(r"\{partition\.([^{}]*)\}")
_FIT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


REMOTE: Final = ("exec", "vault", "aws", "gcp")
"""Kinds of references for which a command or a service is asked."""
REFERENCES: Final = ("env", "file", "credential", *REMOTE)

Argument = Annotated[str, AfterValidator(lambda value: _argument(value))]


def _argument(value: str) -> str:
    if "\0" in value:
        raise ValueError("an argument of a command has no zero byte")
    return value


class SecretRef(Model):
    """A reference to a secret, resolved when it is used; never text in the config."""

    env: str | None = Field(
        None,
        min_length=1,
        description="name of an environment variable; line ends behind its value are dropped",
    )
    file: Path | None = Field(
        None,
        description=(
            "file that holds it, relative to the working directory; line ends behind it are dropped"
        ),
    )
    credential: str | None = Field(
        None,
        min_length=1,
        description="name of a file in $CREDENTIALS_DIRECTORY (systemd), or else in /run/secrets",
    )
    exec: Annotated[tuple[Argument, ...], Field(min_length=1)] | None = Field(
        None, description="command and arguments that print it; no shell is used"
    )
    vault: str | None = Field(
        None,
        pattern=r"^[^#]+#[^#]+$",
        description=(
            "path#key of a secret of Vault; with version 2 of its engine MOUNT/data/NAME#key"
        ),
    )
    aws: str | None = Field(
        None,
        pattern=r"^[^#]+(#[^#]+)?$",
        description=(
            "name or ARN of a secret of AWS Secrets Manager; name#key for a key of its JSON"
        ),
    )
    gcp: str | None = Field(
        None,
        pattern=r"^[^#]+(#[^#]+)?$",
        description=(
            "name of a secret of Google Cloud, or projects/PROJECT/secrets/NAME, with /versions/N "
            "for another version than the latest"
        ),
    )
    ttl: PositiveDuration | None = Field(
        None, description="how long what exec, vault, aws or gcp gave is used; default: 5m"
    )

    @model_validator(mode="after")
    def _one(self) -> SecretRef:
        if sum(getattr(self, each) is not None for each in REFERENCES) != 1:
            raise ValueError(f"exactly one of {', '.join(REFERENCES)} is needed")
        if self.ttl is not None and not self.remote:
            raise ValueError(
                "ttl counts with exec, vault, aws and gcp; the others are read with each use"
            )
        if self.credential is not None and (
            self.credential.startswith("/") or ".." in PurePosixPath(self.credential).parts
        ):
            raise ValueError(
                "credential is the name of a file below the credentials directory; use file: "
                "for other paths"
            )
        return self

    @property
    def kind(self) -> str:
        """Which kind of reference it is: its key."""
        return next(each for each in REFERENCES if getattr(self, each) is not None)

    @property
    def remote(self) -> bool:
        """Whether a command or a service is asked for it."""
        return self.kind in REMOTE

    @property
    def texts(self) -> tuple[str, ...]:
        """What may hold placeholders."""
        if self.exec is not None:
            return self.exec
        return (str(getattr(self, self.kind)),)

    @property
    def shown(self) -> str:
        """The reference for people; of a command its name, as arguments may be secret."""
        return f"{{{self.kind}: {self.texts[0]}}}"

    def resolve(self, environ: Mapping[str, str], values: Mapping[str, str]) -> str:
        """The secret of a variable or a file.

        `values` fill `{partition.x}` in the reference. Raises ConfigError, which names the
        reference only.
        """

        assert not self.remote, "it is asked for by worker/secrets/store.py"

        def fill(text: str) -> str:
            return _filled(text, values)

        if self.env is not None:
            return _read_variable(fill(self.env), environ)
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


def _read_variable(name: str, environ: Mapping[str, str]) -> str:
    secret = environ.get(name, "").rstrip("\r\n")
    if not secret:
        state = "empty" if name in environ else "not set"
        raise ConfigError(
            f"the secret {{env: {name}}} is {state}",
            remedy=f"set the environment variable {name}",
        )
    return secret


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


def kind_of_secret(value: Any) -> str:
    """`reference` or `text`: the tags of a value that may be either."""
    return "reference" if isinstance(value, dict | SecretRef) else "text"


Secret = Annotated[
    Annotated[str, Tag("text")] | Annotated[SecretRef, Tag("reference")],
    Discriminator(kind_of_secret),
]
"""A literal, or where the secret is."""


class HoldsReferences:
    """Marks the type of a JSON value that may hold references to secrets anywhere."""


def is_reference(value: Any) -> bool:
    """Whether a raw JSON value is meant as a reference to a secret: an object of its keys."""
    return (
        isinstance(value, Mapping) and bool(value) and set(SecretRef.model_fields).issuperset(value)
    )


def with_references(value: Any) -> Any:
    """A JSON value in which each reference to a secret is a SecretRef."""
    if is_reference(value):
        return SecretRef.model_validate(value)
    if isinstance(value, Mapping):
        return {name: with_references(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [with_references(each) for each in value]
    return value


class Unsent:
    """Marks the type of a secret that no request carries as it is, so that it may have several
    lines: a key that something is signed with."""


def sendable(text: str) -> str:
    """A literal secret as it is. Raises `unfit` where a header cannot carry it."""
    if _CONTROL.search(text):
        raise unfit(
            "this secret has control characters or line ends within it",
            allowed="one line of text is allowed",
            remedy="take line ends out, also the one at the end",
        )
    return text


def credential(
    secret: str | SecretRef,
    values: Mapping[str, str],
    environ: Mapping[str, str] = os.environ,
) -> str:
    """A secret that goes into a request. Raises ConfigError where a header cannot carry it."""
    text = secret_value(secret, values, environ)
    if _CONTROL.search(text):
        shown = "a secret" if isinstance(secret, str) else f"the secret in {secret.texts[0]}"
        raise ConfigError(
            f"{shown} has control characters or line ends within it",
            remedy="it is one line of text; look for a second line, a tab, or a binary file",
        )
    return text


def secret_value(
    secret: str | SecretRef,
    values: Mapping[str, str],
    environ: Mapping[str, str] = os.environ,
) -> str:
    """The text of a literal or a reference."""
    return secret if isinstance(secret, str) else secret.resolve(environ, values)


def filled_reference(secret: SecretRef, values: Mapping[str, str]) -> tuple[str, ...]:
    """(kind, text, ...) of a reference whose placeholders are filled."""
    return (secret.kind, *(_filled(text, values) for text in secret.texts))


def placeholders_in(secrets: Iterable[SecretRef]) -> list[str]:
    """Names in `{partition.name}` of references to secrets."""
    texts = (text for each in secrets for text in each.texts)
    return sorted({name for text in texts for name in _PARTITION.findall(text)})


def is_fit(value: str) -> bool:
    """Whether a value that somebody else has written may stand in a reference to a secret: it is
    neither a path nor an option of a command, nor a variable of another kind.
    """
    return _FIT.fullmatch(value) is not None


def _filled(text: str, values: Mapping[str, str]) -> str:
    """A text with the values of the partition; braces in a value are data."""
    return _PARTITION.sub(lambda match: values.get(match[1], match[0]), text)
