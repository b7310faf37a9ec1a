"""What a config refers to: schema files, secrets, directories, certificates. Looked at by `check`; nothing is created or changed."""

from __future__ import annotations

import errno
import itertools
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from worker.config.files import check_text, open_file, read_file
from worker.config.merge import SCHEMAS, Merged
from worker.config.problems import Path_, Place, Problem
from worker.config.secrets import Secret, SecretRef, credential, secret_value
from worker.core.errors import ConfigError
from worker.schema.errors import SchemaError
from worker.schema.parse import MAX_BYTES, parse_schema

MAX_COMBINATIONS: Final = 1000
"""Partitions whose secrets are looked up; more of them are only looked up when they run."""

_LINE: Final = re.compile(r"\bline (\d+)")
_SECRET: Final = TypeAdapter(Secret)
_UNSUPPORTED: Final = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)


def preflight(merged: Merged, name: str, pipeline: Any) -> list[Problem]:
    """Every problem of what one pipeline refers to, also when the pipeline is wrong in other ways."""
    if not isinstance(pipeline, dict):
        return []
    path: Path_ = ("pipelines", name)
    return [
        *_schemas(merged, path, pipeline),
        *_secrets(merged, path, pipeline),
        *_directories(merged, path, pipeline),
        *_certificates(merged, path, pipeline),
    ]


def preflight_state(merged: Merged, directory: Path) -> list[Problem]:
    """Whether the commit log can be where it is configured."""
    return list(_writable(merged, ("state", "path"), directory, "the commit log"))


# -- schemas ------------------------------------------------------------------------------------------------------


def _schemas(merged: Merged, path: Path_, pipeline: Mapping[str, Any]) -> Iterator[Problem]:
    for key in SCHEMAS:
        yield from _schema(merged, (*path, key), pipeline.get(key))
    decode = pipeline.get("decode")
    written = decode.get("writer_schema") if isinstance(decode, dict) else None
    if isinstance(written, list):
        for number, file in enumerate(written):
            yield from _schema(merged, (*path, "decode", "writer_schema", number), file)
    else:
        yield from _schema(merged, (*path, "decode", "writer_schema"), written)


def _schema(merged: Merged, path: Path_, file: Any) -> Iterator[Problem]:
    if not isinstance(file, str):
        return
    place = merged.place(path)
    try:
        text = read_file(file, MAX_BYTES)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no file name"
        yield Problem(
            "schema",
            place,
            f"the schema {file} cannot be read: {why}",
            remedy="the path is relative to the config file",
        )
        return
    try:
        parse_schema(text)
    except SchemaError as error:
        line = _LINE.search(error.message) if error.path == "$" else None
        what = error.message.removeprefix(f"{error.path}: ")
        remedy = (
            error.remedy
            or f"it is the {path[2] if len(path) == 3 else 'writer_schema'} of {place.key}"
        )
        yield Problem(
            "schema", Place(file, int(line[1]) if line else 0, error.path), what, remedy=remedy
        )
    except ConfigError as error:
        yield Problem("schema", Place(file), error.message, remedy=error.remedy)


# -- secrets ------------------------------------------------------------------------------------------------------


def _secrets(merged: Merged, path: Path_, pipeline: Mapping[str, Any]) -> Iterator[Problem]:
    source = pipeline.get("source")
    partitions = source.get("partitions") if isinstance(source, dict) else None
    for at, raw in _references(path, pipeline):
        try:
            secret = _SECRET.validate_python(raw)
        except ValidationError:
            continue  # the model has said it
        assert isinstance(secret, SecretRef)
        for values in _combinations(partitions) if "{partition." in "".join(secret.texts) else [{}]:
            try:
                (credential if "auth" in at else secret_value)(secret, values)
            except ConfigError as error:
                yield Problem("secret", merged.place(at), error.message, remedy=error.remedy)


def _references(path: Path_, pipeline: Mapping[str, Any]) -> Iterator[tuple[Path_, Any]]:
    transforms = pipeline.get("transforms")
    for place, values in _peers(path, pipeline):
        auth = values.get("auth")
        for key, value in (auth if isinstance(auth, dict) else {}).items():
            if isinstance(value, dict):
                yield (*place, "auth", key), value
    for number, step in enumerate(transforms if isinstance(transforms, list) else ()):
        mask = step.get("mask") if isinstance(step, dict) else None
        if isinstance(mask, dict) and isinstance(mask.get("key"), dict):
            yield (*path, "transforms", number, "mask", "key"), mask["key"]


def _peers(path: Path_, pipeline: Mapping[str, Any]) -> Iterator[tuple[Path_, Mapping[str, Any]]]:
    """What a pipeline talks to: each may have `auth` and `tls`."""
    decode, sink = pipeline.get("decode"), pipeline.get("sink")
    found = {
        ("source",): pipeline.get("source"),
        ("schema",): pipeline.get("schema"),
        ("output_schema",): pipeline.get("output_schema"),
        ("decode", "registry"): decode.get("registry") if isinstance(decode, dict) else None,
        ("sink", "register"): sink.get("register") if isinstance(sink, dict) else None,
    }
    yield from (
        ((*path, *keys), values) for keys, values in found.items() if isinstance(values, dict)
    )


def _combinations(partitions: Any) -> list[dict[str, str]]:
    if not isinstance(partitions, dict) or not all(
        isinstance(values, list) for values in partitions.values()
    ):
        return []
    every = itertools.product(*(map(str, values) for values in partitions.values()))
    return [
        dict(zip(partitions, values, strict=True))
        for values in itertools.islice(every, MAX_COMBINATIONS)
    ]


# -- files --------------------------------------------------------------------------------------------------------


def _directories(merged: Merged, path: Path_, pipeline: Mapping[str, Any]) -> Iterator[Problem]:
    for section, what in (("sink", "the output"), ("dead_letters", "dead letters")):
        values = pipeline.get(section)
        directory = values.get("path") if isinstance(values, dict) else None
        if isinstance(directory, str) and directory:
            yield from _writable(merged, (*path, section, "path"), Path(directory), what)


def _certificates(merged: Merged, path: Path_, pipeline: Mapping[str, Any]) -> Iterator[Problem]:
    for place, values in _peers(path, pipeline):
        tls = values.get("tls")
        for key, file in (tls if isinstance(tls, dict) else {}).items():
            if key in ("ca_file", "cert_file", "key_file") and isinstance(file, str):
                try:
                    with open_file(file):
                        pass
                except (OSError, ValueError) as error:
                    why = error.strerror if isinstance(error, OSError) else "no file name"
                    yield Problem(
                        "path",
                        merged.place((*place, "tls", key)),
                        f"{file} cannot be read: {why}",
                        remedy="check the path",
                    )


def _writable(merged: Merged, path: Path_, directory: Path, what: str) -> Iterator[Problem]:
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
            merged.place(path),
            f"{directory} cannot be written for {what}: {why}",
            remedy="change the path, or its owner and mode",
        )


def _refuses(directory: Path) -> str:
    """Why no file can be written there: tried with a file that never gets a name, or where there is no such thing with a directory."""
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
