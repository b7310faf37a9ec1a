"""Directories that are written: paths of this machine, never addresses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import BeforeValidator

from worker.config.model import refusal

_SCHEME: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]+):/|.*?([A-Za-z][A-Za-z0-9+.-]*)://", re.DOTALL
)
"""What begins with `scheme:/`, or holds `scheme://` like the chained addresses of fsspec."""


def _local(value: Any) -> Any:
    """A path as it was; an address is refused, of which a directory `s3:` would be made."""
    if isinstance(value, str) and "\0" in value:
        raise refusal("this holds a NUL character, which no path has", remedy="take it out")
    found = _SCHEME.match(value) if isinstance(value, str) else None
    if found is None:
        return value
    scheme = found[1] or found[2]
    raise refusal(
        f"this is an address with the scheme {scheme}, and no directory",
        allowed="a path, because this version writes to directories only",
        remedy=_instead(value),
    )


def _instead(address: str) -> str:
    """What to write in the place of an address."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "write a path"
    if parts.scheme.lower() == "file" and parts.netloc in ("", "localhost"):
        return f"write {unquote(parts.path)}"
    return "write to a directory, as /data/lake, and mount the store there or copy from there"


Directory = Annotated[Path, BeforeValidator(_local)]
