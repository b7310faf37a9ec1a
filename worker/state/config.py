"""What all commit logs have in common: their keys."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from worker.config.directories import Directory
from worker.config.model import Model
from worker.config.scalars import Duration, unit_field


def _default_directory() -> Path:
    return Path(os.environ.get("STATE_DIRECTORY", "var/state").split(":")[0])


class StateConfig(Model):
    """Base of the `Config` of a commit log: what the rest of the worker must know of it."""

    type: str = Field(description="kind of commit log")
    path: Directory = Field(
        default_factory=_default_directory,
        description=(
            "directory of the commit log, relative to the working directory; default: "
            "$STATE_DIRECTORY (systemd), or else var/state"
        ),
    )
    keep: Duration = unit_field(
        "30d", description="how long the commit log keeps commits whose dead letters do not wait"
    )
