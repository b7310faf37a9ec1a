"""What a pipeline can promise, computed from its configuration: delivery and completeness (DESIGN section 4).

Delivery says how often a *received* record is in committed files. Completeness says what is known of the records the server had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from worker.core.errors import ConfigError

DELIVERY: Final = ("at_most_once", "at_least_once", "exactly_once")  # weakest first
COMPLETENESS: Final = ("unknown", "assumed", "proven")


@dataclass(frozen=True, slots=True)
class ByOrder:
    """Completeness without a total: of a plain pass, of an ascending incremental one, of one in another order. A pagination style names one."""

    plain: str
    ascending: str
    other: str


SINGLE_PAGE: Final = ByOrder("assumed", "assumed", "assumed")
TOKENS: Final = ByOrder("unknown", "assumed", "unknown")
WINDOWS: Final = ByOrder(
    "unknown", "assumed", "assumed"
)  # each is asked for once it is over; they need incremental
UNPROMISED: Final = ByOrder("unknown", "unknown", "unknown")


def delivery() -> str:
    """Polled sources resume at a committed cursor and deduplicate by boundary keys: every received record is committed exactly once."""
    return "exactly_once"


def completeness(style: ByOrder, order: str | None, *, total: bool, stable: bool) -> str:
    """The best that a pass of this source can show. `order` is None without incremental."""
    if total:
        return "proven"
    found = (
        style.plain if order is None else style.ascending if order == "ascending" else style.other
    )
    return "assumed" if stable and found == "unknown" else found


def require(name: str, required: str | None, computed: str, scale: tuple[str, ...]) -> None:
    """Raises ConfigError when less is computed than the config requires."""
    if required is not None and scale.index(required) > scale.index(computed):
        raise ConfigError(
            f"{name} is {computed}, the config requires {required}",
            remedy=f"lower require_{name}, or give the source what proves more: a total, a stable order, a token instead of page numbers",
        )
