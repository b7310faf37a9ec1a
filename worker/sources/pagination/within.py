"""`within`: windows round the pages of another style."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from worker.config.model import Issues
from worker.sources.pagination.common import StyleConfig
from worker.sources.pagination.window_keys import WindowKeys


class Within(WindowKeys):
    """Pages inside a window."""

    @model_validator(mode="before")
    @classmethod
    def _a_window(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("type", "window") != "window":
            issues = Issues()
            why = (
                f"found type {str(value['type'])[:60]!r}, allowed are window: pages stand in it, "
                "and not in each other; their style stands beside within"
            )
            issues.add((), why)  # the whole: keys of the other style are not wrong one by one
            issues.check()
        return value


class PagedConfig(StyleConfig):
    """Base of the styles that can walk the pages of one time window after the other."""

    within: Within | None = Field(
        None, description="read one time window after the other, and these pages inside each"
    )

    @property
    def windows(self) -> WindowKeys | None:
        return self.within
