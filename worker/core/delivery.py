"""What a pipeline can promise, computed from its configuration: delivery and completeness (DESIGN section 4).

Delivery says how often a *received* record is in committed files. Completeness says what is known of the records the server had.
"""

from __future__ import annotations

from typing import Final

from worker.core.errors import ConfigError

DELIVERY: Final = ("at_most_once", "at_least_once", "exactly_once")  # weakest first
COMPLETENESS: Final = ("unknown", "assumed", "proven")

# pagination style -> completeness without a total, unless the source is declared stable; a style that is not here promises nothing
_BY_STYLE: Final = {
    # style:       (no incremental, ascending, descending or any)
    "none": ("assumed", "assumed", "assumed"),
    "link_header": ("unknown", "assumed", "unknown"),
    "next_url": ("unknown", "assumed", "unknown"),
    "cursor": ("unknown", "assumed", "unknown"),
    "page": ("unknown", "unknown", "unknown"),
    "offset": ("unknown", "unknown", "unknown"),
}


def delivery() -> str:
    """Polled sources resume at a committed cursor and deduplicate by boundary keys: every received record is committed exactly once."""
    return "exactly_once"


def completeness(style: str, order: str | None, *, total: bool, stable: bool) -> str:
    """The best that a pass of this source can show. `order` is None without incremental."""
    if total:
        return "proven"
    plain, ascending, other = _BY_STYLE.get(style, ("unknown", "unknown", "unknown"))
    found = plain if order is None else ascending if order == "ascending" else other
    return "assumed" if stable and found == "unknown" else found


def require(name: str, required: str | None, computed: str, scale: tuple[str, ...]) -> None:
    """Raises ConfigError when less is computed than the config requires."""
    if required is not None and scale.index(required) > scale.index(computed):
        raise ConfigError(
            f"{name} is {computed}, the config requires {required}",
            remedy=f"lower require_{name}, or give the source what proves more: a total, a stable order, a token instead of page numbers",
        )
