"""Time windows: a range of the incremental field is asked for piece by piece. Pure: no clock, no
IO.

A window is half open, [start, end), in microseconds since 1970. The windows of a pass tile [begin,
until): each begins where the one before it ended, so that no moment is asked for by nobody. `until`
is `lag` behind now; what comes later belongs to the next pass.

Rule 1: a boundary is what its *text* says. Formats of requests may be coarser than instants
        (seconds, days, days of a time zone), and `step` may be coarser still, so every boundary is
        rounded down to what can be asked for before anything is built on it.
Rule 2: who shares a boundary loses nothing. With an inclusive end and no `step`, a window ends in
        the request at the value where the next one begins: what comes twice is known by its key.
        Only `step` says that there is nothing between one step and the next, or that the source
        counts it to the former, and then the end that is asked for is the step before the next
        window.
Rule 3: halves are walked before what follows: `ends` is a stack of boundaries that are still to be
        reached.
Rule 4: windows are as long as the last half that a refused window was cut into, and grow by a
        quarter with each that is accepted, up to `size`. A source that refuses long windows in a
        dense range refuses one in five, and not each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

from worker.core.cursor import Json, Window
from worker.core.instants import MICROS, whole_steps
from worker.paging.marks import MarkFormat
from worker.paging.style import Address

GROWTH: Final = 4
"""A window is longer than the accepted one before it by this part, in whole `smallest`, after one
was refused."""
HOUR: Final = 3600 * MICROS
DAY: Final = 24 * HOUR
_UNITS: Final = (1, 1000, MICROS, 60 * MICROS, HOUR, DAY, 31 * DAY, 366 * DAY)
# 2024-05-06T07:08:09.123456Z: adding a unit changes nothing coarser than it
_PROBE: Final = 1_714_979_289_123_456


@dataclass(frozen=True)
class Windows:
    """How a range is cut, and asked for. Lengths are microseconds.

    Attributes:
        size: a window is not longer, but where a day of a time zone is.
        form: how boundaries are written.
        address: (start, end) as text -> what the request says.
        lag: the last window ends this much before now.
        step: boundaries are whole steps, counted in the zone of `form`; 0: whatever `form` can say.
        inclusive: the source counts the end to the window.
        smallest: no half is shorter.
    """

    size: int
    form: MarkFormat
    address: Callable[[str, str], Address] = field(default=lambda start, end: Address())
    lag: int = 0
    step: int = 0
    inclusive: bool = False
    smallest: int = MICROS

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.form.zone)

    # -- boundaries --------------------------------------------------------------------------------

    def floor(self, at: int) -> int:
        """The last boundary that is not above `at`."""
        said = self.form.bound(self.form.text(at))
        assert isinstance(said, int), "checked when the config was read"
        return whole_steps(min(said, at), self.step, self._zone) if self.step else said

    def ceiling(self, at: int) -> int:
        """A boundary that is not below `at`, and near it."""
        beyond, boundary = 1, self.floor(at)
        while boundary < at:
            boundary = self.floor(at + beyond)
            beyond *= 2
        return boundary

    def initial(self, text: Json) -> int | None:
        """Where the first pass begins, written as in requests, as in records or as usual text;
        None when it is none of them.
        """
        for form in (self.form, self.form.of_records, self.form.usual):
            if isinstance(found := form.bound(text), int):
                return found
        return None

    # -- the walk ----------------------------------------------------------------------------------

    def first(
        self, begin: int, now: int, until: int | None = None, *, size: int = 0
    ) -> Window | None:
        """The first window of a pass from `begin` on; None while there is nothing to ask for.

        `until` ends the range earlier; `size` is that of the window, where it is less than ours.
        """
        start, end = self.floor(begin), self.last(now)
        if until is not None and until < end:
            end = min(end, self.ceiling(until))
        return Window(start, self._end(start, end, size), end, (), size) if start < end else None

    def last(self, now: int) -> int:
        """Where the last window ends that may be read now."""
        return self.floor(now - self.lag)

    def after(self, window: Window) -> Window | None:
        """The window behind one that was accepted; None behind the last one."""
        start, ends, until, size = window.end, window.ends, window.until, self.grown(window)
        if ends:
            return Window(start, ends[-1], until, ends[:-1], size)
        return (
            Window(start, self._end(start, until, size), until, (), size) if start < until else None
        )

    def grown(self, window: Window) -> int:
        """How long windows are behind one that was accepted; 0: as long as they may be."""
        size = window.size
        if not size or window.ends:  # the half of a refused one says nothing of longer ones
            return size
        wider = size + -(-size // (GROWTH * self.smallest)) * self.smallest
        return wider if wider < self.size else 0

    def _end(self, start: int, until: int, size: int) -> int:
        """Where a whole window ends.

        A day that is longer than `size`, in a zone, is one all the same.
        """
        reach = min(size or self.size, self.size)
        while start + reach < until:
            if (end := self.floor(start + reach)) > start:
                return end
            reach += HOUR
        return until

    def halved(self, window: Window) -> Window | None:
        """The first half, in whole `smallest`; the second one follows it.

        None for a window that is too short to be cut.
        """
        half = (window.end - window.start) // 2
        middle = self.floor(window.start + half - half % self.smallest)
        if min(middle - window.start, window.end - middle) < self.smallest:
            return None
        size = middle - window.start
        return Window(window.start, middle, window.until, (*window.ends, window.end), size)

    # -- the request -------------------------------------------------------------------------------

    def asked(self, window: Window) -> tuple[str, str]:
        """(start, end) as the request says them."""
        last = self.floor(window.end - 1) if self.inclusive and self.step else window.end
        return self.form.text(window.start), self.form.text(last)


def resolution(form: MarkFormat) -> int | None:
    """The shortest time, of those that have a name, by which two texts of a format differ; None for
    texts that are not read back as they are written.
    """
    try:
        said = form.bound(form.text(_PROBE))
        if not isinstance(said, int) or not _PROBE - 366 * DAY < said <= _PROBE:
            return None
        return next((unit for unit in _UNITS if form.bound(form.text(_PROBE + unit)) != said), None)
    except (ValueError, OverflowError):
        return None
