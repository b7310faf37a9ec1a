"""The id of an output root: `<root>/.worker/root.json`, made once by whoever comes first."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

import msgspec

from worker.core.errors import StateError
from worker.core.roots import HIDDEN
from worker.runtime import fs

VERSION: Final = 1
_NAME: Final = f"{HIDDEN}/root.json"


class _Document(msgspec.Struct, frozen=True):
    """What stands in the file."""

    v: int
    id: str


def root_id(root: Path) -> str:
    """The id of what is at a path; empty where no root is.

    Raises StateError for a file that says none, SinkUnavailable and others as `fs.translate`.
    """
    path = root / _NAME
    with fs.translated(path):
        try:
            text = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return ""
    try:
        found = msgspec.json.decode(text, type=_Document)
    except msgspec.DecodeError as error:
        raise StateError(
            f"{path} does not say which output this is: {error}",
            remedy="bring it back from a copy of the output; without it, remove it, and let"
            " `worker state adopt CONFIG PIPELINE --root` give the output a new id",
        ) from error
    if found.v > VERSION or not found.id:
        raise StateError(
            f"{path} has version {found.v}, this program knows {VERSION}",
            remedy="run the version that wrote it, or newer",
        )
    return found.id


def make_root_id(root: Path, wanted: str = "") -> str:
    """The id of a root, which is made, durably, where there is none yet.

    Raises as `root_id` does, and OSError.

    Args:
        wanted: the id that it gets; empty: a random one.
    """
    if found := root_id(root):
        return found
    document = _Document(v=VERSION, id=wanted or secrets.token_hex(8))
    fs.make_dirs(root, HIDDEN, 0o700)
    path = root / _NAME
    draft = path.with_name(f"{secrets.token_hex(8)}.draft")
    try:
        fs.write_durably(draft, msgspec.json.encode(document), 0o644)
        fs.rename_noreplace(draft, path)
    except FileExistsError:  # another pipeline was quicker
        return root_id(root)
    finally:
        draft.unlink(missing_ok=True)
        fs.fsync_dir(path.parent)
    return document.id
