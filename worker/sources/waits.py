"""Where an answer says how long to wait before the next request. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from worker.http.retry_after import WaitFormat, parse_wait, wait_asked_for
from worker.sources.conditions import Read
from worker.sources.places import Locator


class WaitPlace(Locator):
    """Where an answer says how long to wait, and how it is written."""

    beside: ClassVar[tuple[str, ...]] = ("format",)

    format: WaitFormat = Field(
        "seconds",
        description=(
            "seconds | milliseconds | minutes from now, or a moment: epoch_s | epoch_ms | http_date"
            " | rfc3339"
        ),
    )


def wait_of(
    places: Sequence[WaitPlace],
    headers: Mapping[str, str],
    read: Read,
    *,
    now_s: float,
    max_s: float,
    limited: bool,
) -> float | None:
    """Seconds that an answer asks to wait, within 0 and `max_s`; None when it does not say.

    Args:
        places: those of the config; the headers of `wait_asked_for` come after them.
        read: the value of the body at a path.
        now_s: the time since 1970 by our own clock.
        limited: the answer says that there were too many requests.
    """
    date = headers.get("Date")
    for place in places:
        value = headers.get(place.header or "") if place.body is None else read(place.body)
        found = parse_wait(value, place.format, date=date, now_s=now_s, max_s=max_s)
        if found is not None:
            return found
    return wait_asked_for(headers, now_s=now_s, max_s=max_s, limited=limited)
