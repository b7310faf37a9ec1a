"""`.env` beside the config: variables for secrets, for local use.

The variables of the process come first, and are never changed.
"""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Final

from worker.config.files import read_file
from worker.core.errors import ConfigError

NAME: Final = ".env"
MOST_BYTES: Final = 1024 * 1024


def environ_beside(config: Path) -> Mapping[str, str]:
    """The variables that references to secrets are looked up in.

    Raises ConfigError for a `.env` that cannot be read.
    """
    found = _variables(config.parent / NAME)
    return MappingProxyType(ChainMap(os.environ, found)) if found else os.environ


def _variables(path: Path) -> dict[str, str]:
    try:
        data = read_file(path, MOST_BYTES)
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigError(
            f"{path} cannot be read: {why}", remedy="correct it, or take it away"
        ) from error
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{path} is longer than 1 MiB", remedy="take it away")
    from dotenv import dotenv_values  # few configs have such a file beside them

    values = dotenv_values(stream=StringIO(text))
    return {name: value for name, value in values.items() if value is not None}
