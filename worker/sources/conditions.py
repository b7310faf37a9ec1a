"""`when:` of a config as a function: what a body must say for a rule to hold. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from worker.core.model import MISSING, Facts
from worker.sources.http_config.rules import When

Read = Callable[[str], Any]
"""The value of a body at a JMESPath, MISSING where it is absent."""


def condition(when: When) -> Callable[[Read], bool]:
    """Whether a body is as `when` says.

    An absent value satisfies only `exists: false` and `not_equals`.
    """
    (comparison,) = when.model_fields_set - {"path"}
    holds, wanted = _COMPARISONS[comparison], getattr(when, comparison)
    return lambda read: holds(read(when.path), wanted)


def stop_when(when: When) -> Callable[[Facts], bool]:
    """`stop.when` as the planner asks it of each page."""
    holds = condition(when)
    return lambda facts: holds(facts_reader(facts))


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
