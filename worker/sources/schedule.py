"""The config of `schedule`: when passes start. What it means is in `paging/schedule.py`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from worker.config.effects import Effect
from worker.config.model import Issues, Model, unfit
from worker.config.scalars import Duration, PositiveDuration, ZoneName, unit_field
from worker.paging.schedule import Hours, cron_flaw
from worker.paging.schedule import Schedule as Plan

BETWEEN_PATTERN: Final = r"^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)$"
DAY_MINUTES: Final = 24 * 60
LAST_YEAR: Final = 2999
"""A schedule of years is still far from the end of what a date can say."""


def _cron(value: str) -> str:
    if flaw := cron_flaw(value):
        raise unfit(
            flaw,
            allowed="minute, hour, day of month, month and day of week are allowed, like "
            "15 2 * * * and */30 8-17 * * MON-FRI",
            remedy="write it in quotes, as crontab has it",
        )
    return value


def _between(value: str) -> str:
    start, _, end = value.partition("-")
    if start == end.replace("24:00", "00:00"):
        raise unfit(
            "start and end are the same",
            allowed="two times of day with - between them are allowed, like 22:00-06:00",
            remedy="leave it out where passes may begin at any time",
        )
    return value


def _moment(value: str) -> str:
    try:
        at = datetime.fromisoformat(value)
    except ValueError as error:
        raise unfit(
            "this is no date and no time",
            allowed="2026-01-01, 2026-01-01T06:00 (in `zone`) and 2026-01-01T06:00:00Z are allowed",
            remedy="write it in one of these forms",
        ) from error
    if at.year > LAST_YEAR:
        raise unfit(
            f"no pass would start before the year {at.year}",
            allowed=f"years up to {LAST_YEAR} are allowed",
            remedy="use enabled: false for a pipeline that does not run",
        )
    return value


class Schedule(Model):
    """When passes start."""

    every: PositiveDuration | None = Field(
        None, description="from the start of a pass to the start of the next"
    )
    cron: Annotated[str, AfterValidator(_cron)] | None = Field(
        None,
        description=(
            "instead of every: minute, hour, day of month, month and day of week, as crontab has "
            "them; a time that comes twice as the clocks change is the first one, and one that is "
            "missing is the moment of the change"
        ),
    )
    zone: ZoneName = Field(
        "UTC", description="time zone of cron, between and not_before, like Europe/Berlin"
    )
    between: Annotated[str, Field(pattern=BETWEEN_PATTERN), AfterValidator(_between)] | None = (
        Field(
            None,
            description=(
                "with every: passes start only within these hours, like 22:00-06:00; one that has "
                "started goes on"
            ),
        )
    )
    not_before: Annotated[str, AfterValidator(_moment)] | None = Field(
        None, description="no pass starts before this date or time, like 2026-01-01"
    )
    jitter: Duration = unit_field("0s", description="random time added to each")

    effects: ClassVar[tuple[Effect, ...]] = (
        Effect(
            "between",
            lambda schedule: schedule.cron is None,
            "cron names the hours itself",
            "it counts with every",
        ),
        Effect(
            "zone",
            lambda schedule: (
                schedule.cron is not None
                or schedule.between is not None
                or (schedule.not_before is not None and schedule.local_start)
            ),
            "no time of day is written in it",
            "it counts with cron, between, and a not_before without a zone of its own",
        ),
    )
    """Keys that count only beside others."""

    @model_validator(mode="after")
    def _one_rule(self) -> Schedule:
        if (self.every is None) == (self.cron is None):
            issues = Issues()
            issues.add(
                ("every",) if self.every is None else ("cron",),
                "neither every nor cron is given, one of them is needed"
                if self.every is None
                else "every and cron are both given; take one of them out",
                "cron" if self.every is None else "every",
            )
            issues.check()
        return self

    @property
    def local_start(self) -> bool:
        """Whether `not_before` is a time of `zone`, as it has no zone of its own."""
        return self.not_before is not None and self._start.tzinfo is None

    @property
    def _start(self) -> datetime:
        return datetime.fromisoformat(self.not_before or "1970-01-01")

    @property
    def plan(self) -> Plan:
        """The same as the planner wants it."""
        start = self._start
        if start.tzinfo is None:
            start = start.replace(tzinfo=UTC if self.not_before is None else ZoneInfo(self.zone))
        return Plan(
            every_s=self.every or 0.0,
            cron=self.cron or "",
            zone=self.zone,
            hours=None if self.between is None else self._hours(self.between),
            not_before=start.timestamp(),
        )

    def next_texts(self, wall: float, count: int) -> list[str]:
        """When the next passes begin after a time in seconds since 1970, in `zone`, for people."""
        zone = ZoneInfo(self.zone)
        return [
            datetime.fromtimestamp(at, zone).isoformat(timespec="seconds")
            for at in self.plan.next_times(wall, count)
        ]

    def _hours(self, between: str) -> Hours:
        start, end = (
            int(hour) * 60 + int(minute) for hour, minute in re.findall(r"(\d\d):(\d\d)", between)
        )
        return Hours(start, end % DAY_MINUTES, self.zone)
