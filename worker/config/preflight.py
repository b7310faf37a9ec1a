"""What a config refers to: schema files, secrets, directories, certificates.

Looked at by `check`; nothing is created or changed.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from worker.config.files import check_text, open_file
from worker.config.merged import Merged
from worker.config.models import annotation_below, holds_secret, markers_of, model_of
from worker.config.problems import Path_, Place, Problem
from worker.config.references import OutputDirectory, ReadableFile, Reference, SchemaFile
from worker.config.schema_file import FilesConfig, schema_file, schema_files
from worker.config.secrets import (
    HoldsReferences,
    Secret,
    SecretRef,
    Unsent,
    credential,
    is_reference,
    secret_value,
)
from worker.core.errors import ConfigError
from worker.schema import Schema
from worker.schema.errors import SchemaError

MAX_COMBINATIONS: Final = 1000
"""Partitions whose secrets are looked up; more of them are only looked up when they run."""

_LINE: Final = re.compile(r"\bline (\d+)")
_SECRET: Final = TypeAdapter(Secret)
_UNSUPPORTED: Final = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)


def preflight(
    merged: Merged, name: str, pipeline: Any, model: Any, environ: Mapping[str, str]
) -> list[Problem]:
    """Every problem of what one pipeline refers to, also when the pipeline is wrong in other ways.

    Args:
        pipeline: the raw values of the pipeline.
        model: the model of a pipeline, whose types say what refers to something.
        environ: what references to secrets are looked up in.
    """
    if not isinstance(pipeline, dict):
        return []
    source = pipeline.get("source")
    partitions = _combinations(source.get("partitions") if isinstance(source, dict) else None)
    return [
        problem
        for at, annotation, value in _walk(model, pipeline, ("pipelines", name))
        for problem in (
            *_secret(merged, at, annotation, value, partitions, environ),
            *_references(merged, at, annotation, value),
        )
    ]


def preflight_state(merged: Merged, directory: Path) -> list[Problem]:
    """Whether the commit log can be where it is configured."""
    return list(_writable(merged, ("state", "path"), directory, "the commit log"))


def _walk(annotation: Any, raw: Any, path: Path_) -> Iterator[tuple[Path_, Any, Any]]:
    """(path, type, raw value) of everything in a value that the language knows."""
    yield path, annotation, raw
    if any(markers_of(annotation, HoldsReferences)):
        yield from ((at, Secret, each) for at, each in _references_in(raw, path))
    items = raw.items() if isinstance(raw, dict) else ()
    for key, value in enumerate(raw) if isinstance(raw, list) else items:
        if (below := annotation_below(annotation, key, raw)) is not None:
            yield from _walk(below, value, (*path, key))


def _references_in(raw: Any, path: Path_) -> Iterator[tuple[Path_, Any]]:
    """(path, raw reference) of every reference to a secret in a JSON value."""
    if is_reference(raw):
        yield path, raw
    elif isinstance(raw, dict | list):
        for key, value in raw.items() if isinstance(raw, dict) else enumerate(raw):
            yield from _references_in(value, (*path, key))


# -- secrets ---------------------------------------------------------------------------------------


def _secret(
    merged: Merged,
    at: Path_,
    annotation: Any,
    value: Any,
    partitions: list[dict[str, str]],
    environ: Mapping[str, str],
) -> Iterator[Problem]:
    """Whether a reference leads to a secret, in every partition whose values it has."""
    if not isinstance(value, dict) or not holds_secret(annotation):
        return
    try:
        secret = _SECRET.validate_python(value)
    except ValidationError:
        return  # the model has said it
    assert isinstance(secret, SecretRef)
    if secret.remote:
        return  # nobody is asked before it is used
    sent = not {"auth", "params", "headers", "proxy"}.isdisjoint(at)
    unsent = any(markers_of(annotation, Unsent))
    read = credential if sent and not unsent else secret_value
    for values in partitions if "{partition." in "".join(secret.texts) else [{}]:
        try:
            read(secret, values, environ)
        except ConfigError as error:
            yield Problem("secret", merged.place(at), error.message, remedy=error.remedy)


def _combinations(partitions: Any) -> list[dict[str, str]]:
    """The values of the first partitions."""
    if not isinstance(partitions, dict):
        return []
    if not all(isinstance(values, list) for values in partitions.values()):
        return []
    every = itertools.product(*(map(str, values) for values in partitions.values()))
    return [
        dict(zip(partitions, values, strict=True))
        for values in itertools.islice(every, MAX_COMBINATIONS)
    ]


# -- files -----------------------------------------------------------------------------------------


def _references(merged: Merged, at: Path_, annotation: Any, value: Any) -> Iterator[Problem]:
    if isinstance(value, dict) and model_of(annotation, value) is FilesConfig:
        yield from _several(merged, at, value)
    if not isinstance(value, str):
        return
    for marker in markers_of(annotation, Reference):
        match marker:
            case SchemaFile():
                yield from _schema(merged, at, lambda: schema_file(Path(value)))
            case ReadableFile():
                yield from _readable(merged, at, value)
            case OutputDirectory(holds) if value:
                yield from _writable(merged, at, Path(value), holds)


def _several(merged: Merged, at: Path_, value: dict[str, Any]) -> Iterator[Problem]:
    """A schema in several files."""
    try:
        config = FilesConfig.model_validate(value)
    except ValidationError:
        return  # the model has said it
    yield from _schema(merged, at, lambda: schema_files(config))


def _schema(merged: Merged, at: Path_, load: Callable[[], Schema]) -> Iterator[Problem]:
    place = merged.place(at)
    try:
        load()
    except SchemaError as error:
        line = _LINE.search(error.message) if error.path == "$" else None
        key = next(part for part in reversed(at) if isinstance(part, str))
        yield Problem(
            "schema",
            Place(error.where, int(line[1]) if line else 0, error.path),
            error.message.removeprefix(f"{error.path}: "),
            remedy=error.remedy or f"it is the {key} of {place.key}",
        )
    except ConfigError as error:
        yield Problem("schema", place, error.message, remedy=error.remedy)


def _readable(merged: Merged, at: Path_, file: str) -> Iterator[Problem]:
    try:
        with open_file(file):
            pass
    except (OSError, ValueError) as error:
        found = f"{file} cannot be read: {_reason(error)}"
        yield Problem("path", merged.place(at), found, remedy="check the path")


def _reason(error: OSError | ValueError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "no file name"


def _writable(merged: Merged, at: Path_, directory: Path, holds: str) -> Iterator[Problem]:
    """A directory that cannot be written, or cannot be made. Nothing of it stays."""
    try:
        there = directory.absolute()
        check_text(there)
        while not os.path.lexists(there) and there != there.parent:
            there = there.parent
        why = _refuses(there) if there.is_dir() else f"{there} is no directory"
    except (OSError, ValueError) as error:
        why = str(error)
    if why:
        yield Problem(
            "path",
            merged.place(at),
            f"{directory} cannot be written for {holds}: {why}",
            remedy="change the path, or its owner and mode",
        )


def _refuses(directory: Path) -> str:
    """Why no file can be written there.

    Tried with a file that never gets a name; where the file system has none, with a directory.
    """
    if not os.access(directory, os.W_OK | os.X_OK):
        return f"no permission to write {directory}"
    try:
        os.close(os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            return f"{directory}: {error.strerror}"
        try:
            os.rmdir(tempfile.mkdtemp(dir=directory))
        except OSError as refused:
            return f"{directory}: {refused.strerror}"
    return ""
