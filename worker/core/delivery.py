"""What a pipeline can promise, computed from its configuration (docs/delivery.md).

Delivery says how often a record that was *received* is in committed files.
Completeness says what is known of the records that the server had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from worker.core.errors import ConfigError

DELIVERY: Final = ("at_most_once", "at_least_once", "exactly_once")  # weakest first
COMPLETENESS: Final = ("unknown", "assumed", "proven")  # weakest first


@dataclass(frozen=True, slots=True)
class ByOrder:
    """The completeness of a pagination style without a total, by the order of its records.

    Attributes:
        plain: of a pass that is not incremental.
        ascending: of an incremental pass in ascending order of its field.
        other: of an incremental pass in any other order.
    """

    plain: str
    ascending: str
    other: str


SINGLE_PAGE: Final = ByOrder("assumed", "assumed", "assumed")
TOKENS: Final = ByOrder("unknown", "assumed", "unknown")
# a window is asked for once it is over; windows need `incremental`, so `plain` is never looked at
WINDOWS: Final = ByOrder("unknown", "assumed", "assumed")
UNPROMISED: Final = ByOrder("unknown", "unknown", "unknown")


def delivery(*, keeps_late: bool = False) -> str:
    """How often each received record is in committed files.

    A polled source resumes at a committed cursor and drops duplicates by boundary keys, so it is
    exactly once.

    Args:
        keeps_late: records below the bound are taken each time that they come.
    """
    return "at_least_once" if keeps_late else "exactly_once"


def completeness(
    style: ByOrder, order: str | None, *, total: bool, numbered: bool, stable: bool
) -> str:
    """The best completeness that a pass of this source can have.

    Args:
        order: `ascending`, `descending` or `any`; None for a source that is not incremental.
        total: the source states how many records it has, and the pass is compared with that.
        numbered: pages are counted, so that records which move are missed or come twice. A deletion
            that an insertion balances leaves the total as it was.
        stable: records keep their place while pages are read, as the config declares or as the
            seams between pages show.
    """
    if total:
        return "assumed" if numbered and not stable else "proven"
    found = (
        style.plain if order is None else style.ascending if order == "ascending" else style.other
    )
    return "assumed" if stable and found == "unknown" else found


def require(name: str, required: str | None, computed: str, scale: tuple[str, ...]) -> None:
    """Raises ConfigError when less is computed than the config requires.

    Args:
        name: `delivery` or `completeness`.
        required: what the config requires; None when it requires nothing.
        scale: the levels of `name`, weakest first.
    """
    if required is not None and scale.index(required) > scale.index(computed):
        raise ConfigError(
            f"{name} is {computed}, the config requires {required}",
            remedy=f"lower require_{name}, or configure what proves more: a total, a stable order, "
            "a token instead of page numbers",
        )
