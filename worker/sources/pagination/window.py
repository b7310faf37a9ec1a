"""`window`: one request for each time window; what a window holds comes in one answer.

Where it comes in pages, the style of the pages has the window in `within`. The cutting is in
`worker/paging/windows.py`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import model_validator

from worker.config.model import Issues
from worker.core.delivery import WINDOWS
from worker.sources.pagination.common import StyleConfig
from worker.sources.pagination.none import Single
from worker.sources.pagination.window_keys import WindowKeys


class Config(WindowKeys, StyleConfig):
    """Ask for one time window after the other."""

    completeness = WINDOWS
    pages = False
    windows_at: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _not_within(cls, value: Any) -> Any:
        if isinstance(value, dict) and "within" in value:
            issues = Issues()
            issues.add(
                ("within",),
                (
                    "a window has no window within it; to page inside the window, use the style "
                    "of the pages and move these keys to its within"
                ),
            )
            issues.check()
        return value

    @property
    def needs_body(self) -> str:
        return ""

    @property
    def windows(self) -> WindowKeys:
        return self


def build(config: Config) -> Single:
    return Single()
