"""When the passes of a source may begin. Pure.

Times are seconds since 1970. A schedule is an interval, or a line of cron in a time zone. Besides,
it may have hours within which passes begin, and a day before which none does. A pass that has begun
goes on whatever the time is.

What the night does in which the clocks change:

* A line of cron that names its hour (`15 2 * * *`) means one moment a day, as Debian's cron has it:
  where the hour comes twice, it is the first one; where it is missing, the moment at which the
  clocks have been put forward (03:00).
* A line with `*` for the minute or the hour (`*/15 * * * *`) means every such time that a clock
  shows: it comes twice where the hour does, and not at all in an hour that is missing.
* Hours are those that a clock shows: they are longer or shorter in such a night.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

DRIFT_S: Final = 60.0
"""So much may a wall clock go back without a pass that was begun by it being due again."""
FIELDS: Final = 5
"""Minute, hour, day of month, month, day of week."""
_DAYS: Final = 3
"""Hours open again within so many days, also where a day lacks them."""


@dataclass(frozen=True, slots=True)
class Hours:
    """The times of day, by the clock of a zone, at which passes may begin.

    Attributes:
        start: the first minute of the day, counted from midnight.
        end: the minute after the last one; it is before `start` where the hours hold midnight.
    """

    start: int
    end: int
    zone: str

    def holds(self, wall: float) -> bool:
        """Whether a time lies within."""
        local = datetime.fromtimestamp(wall, ZoneInfo(self.zone))
        minute = local.hour * 60 + local.minute
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def opens(self, wall: float) -> float:
        """The first time from `wall` on that lies within."""
        if self.holds(wall):
            return wall
        return min(at for at in self._openings(wall) if at > wall and self.holds(at))

    def _openings(self, wall: float) -> Iterator[float]:
        """The times at which the hours may begin, on the days from that of `wall` on."""
        zone = ZoneInfo(self.zone)
        today = datetime.fromtimestamp(wall, zone).date()
        for day in range(_DAYS):
            at = datetime.combine(
                today + timedelta(days=day), time(*divmod(self.start, 60)), tzinfo=zone
            )
            yield at.timestamp()
            yield at.replace(fold=1).timestamp()
            yield from _jump(at)


def _jump(at: datetime) -> Iterator[float]:
    """When the clocks change round a local time that does not exist, or exists twice."""
    low, high = sorted(int(at.replace(fold=fold).timestamp()) for fold in (0, 1))
    zone = at.tzinfo
    before = datetime.fromtimestamp(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    yield float(high)


@dataclass(frozen=True, slots=True)
class Schedule:
    """See the module.

    Attributes:
        every_s: from the start of a pass to the start of the next; it counts without `cron`.
        cron: five fields: minute, hour, day of month, month, day of week.
        zone: of `cron`.
        not_before: no pass begins before this time.
    """

    every_s: float = 0.0
    cron: str = ""
    zone: str = "UTC"
    hours: Hours | None = None
    not_before: float = 0.0

    @property
    def by_clock(self) -> bool:
        """Whether the time of day counts, or the date, and not only how much time has passed."""
        return bool(self.cron or self.hours or self.not_before)

    def admits(self, wall: float) -> float:
        """The first time from `wall` on at which a pass may begin."""
        wall = max(wall, self.not_before)
        return wall if self.hours is None else self.hours.opens(wall)

    def after(self, wall: float, planned: float = 0.0) -> float:
        """When the pass after one that begins now is due.

        Args:
            planned: the time for which that one was due. Clocks differ by a little: who begins a
                moment too early does not begin again when the time has come.
        """
        if not self.cron:
            return self.admits(wall + self.every_s)
        begun = planned if wall < planned <= wall + DRIFT_S else wall
        return next(self._times(max(begun, self.not_before - 1)))

    def first(self, wall: float) -> float:
        """When the first pass ever is due: at once, unless the time of day is what counts."""
        return self.after(wall) if self.cron else self.admits(wall)

    def next_times(self, wall: float, count: int) -> list[float]:
        """When the next passes begin, if the first of them begins from now on."""
        if self.cron:
            return list(islice(self._times(max(wall, self.not_before - 1)), count))
        times = [self.admits(wall)]
        while len(times) < count:
            times.append(self.after(times[-1]))
        return times

    def period_s(self, wall: float) -> float:
        """How long it is about from one pass to the next."""
        if not self.cron:
            return self.every_s
        one, other = self.next_times(wall, 2)
        return other - one

    def _times(self, after: float) -> Iterator[float]:
        """The times of `cron` after another one, in order."""
        last = after
        for local in CronSim(self.cron, datetime.fromtimestamp(after, ZoneInfo(self.zone))):
            # a local time that comes twice is the first of the two, which may be over
            if (at := local.timestamp()) > last:
                yield at
                last = at


def cron_flaw(text: str) -> str:
    """What is wrong with a line of cron; empty where nothing is."""
    if len(text.split()) != FIELDS:
        return f"a line of cron has five fields, found {len(text.split())}"
    try:
        next(CronSim(text, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        return f"this is no line of cron: {str(error).lower()}"
    except StopIteration:
        return "no day is like that"
    return ""
