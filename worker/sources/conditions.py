"""`when`: a condition on a body. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import Field, model_validator

from worker.config.model import Model
from worker.config.scalars import Flag, JmesPath, Number
from worker.core.model import MISSING, Facts

Read = Callable[[str], Any]
"""The value of a body at a JMESPath, MISSING where it is absent."""


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
        """Whether a body is as this demands.

        An absent value satisfies only `exists: false` and `not_equals`.
        """
        (comparison,) = self.model_fields_set - {"path"}
        return _COMPARISONS[comparison](read(self.path), getattr(self, comparison))

    def holds_for(self, facts: Facts) -> bool:
        """Whether the body of a page that was decoded with the path is as this demands."""
        return self.holds(facts_reader(facts))


def facts_reader(facts: Facts) -> Read:
    """Reads the paths of a page that was decoded with them."""
    return lambda path: facts.body.get(path, MISSING)


def _equals(found: Any, wanted: Any) -> bool:
    return type(found) is type(wanted) and bool(found == wanted)


def _exists(found: Any, wanted: bool) -> bool:
    return (found is not MISSING and found is not None) == wanted


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)


_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "equals": _equals,
    "not_equals": lambda found, wanted: not _equals(found, wanted),
    "greater": lambda found, wanted: _is_number(found) and found > wanted,
    "less": lambda found, wanted: _is_number(found) and found < wanted,
    "exists": _exists,
}
