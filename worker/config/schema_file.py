"""Avro schemas in files that a config names: one file, or several with types for each other."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

from worker.config.files import read_file
from worker.config.model import Model
from worker.config.problems import did_you_mean, listed
from worker.core.errors import ConfigError
from worker.schema import Schema
from worker.schema.document import MAX_BYTES, read_document
from worker.schema.errors import SchemaError
from worker.schema.references import Definitions, parse_parts

MAX_FILES: Final = 1_000
"""The most files of one schema."""
PROPOSE: Final = "`worker schema infer CONFIG PIPELINE --output FILE` proposes one"


class FilesConfig(Model):
    """A schema whose types stand in several files, or a file that is a list of types."""

    file: Path = Field(description="file with the record, relative to the config file")
    with_: Annotated[
        tuple[str, ...],
        BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
        WithJsonSchema(
            {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
        ),
    ] = Field(
        (),
        alias="with",
        description=(
            "files with types that the record uses, or patterns of them like common/*.avsc, "
            "relative to the config file; their order does not matter"
        ),
    )
    name: str | None = Field(
        None,
        min_length=1,
        description="full name of the record; needed where `file` is a list of several types",
    )


def schema_file(path: Path) -> Schema:
    """The schema in a file. Raises ConfigError with the name of the file."""
    document, definitions = _document(path), Definitions()
    if isinstance(document, list):  # of types, in any order
        definitions.add(document, str(path))
    return parse_parts(document, definitions, str(path))


def schema_files(config: FilesConfig) -> Schema:
    """The schema in several files, as one that stands alone.

    Raises ConfigError; `where` is the file that is wrong.
    """
    definitions = Definitions()
    document = _document(config.file)
    mine = definitions.add(document, str(config.file))
    for path in _others(config):
        definitions.add(_document(path), str(path))
    root = _root(config, document, mine, definitions)
    return parse_parts(root, definitions, str(config.file))


def _root(config: FilesConfig, document: Any, mine: Sequence[str], definitions: Definitions) -> Any:
    """The name of the record, or the document where it is no list and names none."""
    if config.name is not None:
        if config.name not in definitions:
            hint = did_you_mean(config.name, definitions)
            raise ConfigError(
                f"neither {config.file} nor a file of `with` defines {config.name!r}",
                remedy=f"{hint} {listed(definitions)}".lstrip(),
            )
        return config.name
    if len(mine) > 1:
        raise ConfigError(
            f"{config.file} defines {len(mine)} types, and one of them is the record",
            remedy=f"set `name` beside `file`; {listed(mine)}",
        )
    return mine[0] if mine else document


def _others(config: FilesConfig) -> list[Path]:
    """The files of `with`, each once, without `file`."""
    known = {config.file.resolve(): config.file}
    for pattern in config.with_:
        found = [Path(each) for each in sorted(glob.glob(pattern, recursive=True))]
        files = [each for each in found if not each.is_dir()]
        if not files:
            raise ConfigError(
                f"no file of `with` is called {pattern}",
                remedy="the path is relative to the config file; * stands for any characters, "
                "and ** for any directories",
            )
        known |= {each.resolve(): each for each in files if each.resolve() not in known}
        if len(known) > MAX_FILES:
            raise ConfigError(
                f"{pattern} of `with` names more than {MAX_FILES} files",
                remedy="name a directory with the schemas alone",
            )
    return list(known.values())[1:]


def _document(path: Path) -> Any:
    try:
        text = read_file(path, MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no file name"
        absent = isinstance(error, FileNotFoundError)
        raise ConfigError(
            f"the schema {path} cannot be read: {reason}",
            remedy="the path is relative to the config file" + (f"; {PROPOSE}" if absent else ""),
        ) from error
    try:
        return read_document(text)
    except SchemaError as error:
        error.where = str(path)
        raise
