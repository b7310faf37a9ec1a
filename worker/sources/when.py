"""`when`: a condition on a body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field, model_validator

from worker.config.model import Model
from worker.config.scalars import Flag, JmesPath, Number
from worker.core.model import MISSING, Facts

Read = Callable[[str], Any]
"""What reads a path of a body; MISSING where it is absent."""


class When(Model):
    """A condition on a body: a path and exactly one comparison."""

    path: JmesPath = Field(description="JMESPath into the body")
    equals: Any = Field(None, description="value and type are equal")
    not_equals: Any = Field(None, description="value or type differ")
    greater: Number | None = Field(None, description="a number above")
    less: Number | None = Field(None, description="a number below")
    exists: Flag | None = Field(None, description="present and not null")

    @model_validator(mode="after")
    def _one(self) -> When:
        given = self.model_fields_set - {"path"}
        if len(given) != 1 or any(
            getattr(self, name) is None for name in given & {"greater", "less", "exists"}
        ):
            raise ValueError("exactly one of equals, not_equals, greater, less, exists is needed")
        return self

    def holds(self, read: Read) -> bool:
        """Whether the condition is true of what `read` reads; an absent value satisfies only `exists: false` and `not_equals`."""
        found = read(self.path)
        if self.exists is not None:
            return self.exists == (found is not MISSING and found is not None)
        if "equals" in self.model_fields_set:
            return _equal(found, self.equals)
        if "not_equals" in self.model_fields_set:
            return not _equal(found, self.not_equals)
        if not isinstance(found, int | float) or isinstance(found, bool):
            return False
        if self.greater is not None:
            return found > self.greater
        return self.less is not None and found < self.less

    def holds_for(self, facts: Facts) -> bool:
        """Whether the condition is true of the body of a page, whose facts have the path."""
        return self.holds(lambda path: facts.body.get(path, MISSING))


def _equal(found: Any, wanted: Any) -> bool:
    """Equal in value and type; `MISSING` equals nothing that a config can name."""
    return type(found) is type(wanted) and bool(found == wanted)
