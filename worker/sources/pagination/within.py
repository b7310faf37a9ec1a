"""The keys of a time window, as a style of its own (`window`) and round another one (`within`)."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field, model_validator

from worker.config.types import Duration, PositiveDuration, Whole, Wrong, written
from worker.core.instants import MICROS
from worker.paging.marks import MarkFormat
from worker.paging.style import Address
from worker.paging.windows import Windows
from worker.sources.http_config.rules import When
from worker.sources.pagination.common import StyleConfig, StyleModel, Target

_NUMBERS: Final = ("epoch_s", "epoch_ms", "epoch_us")


class SplitOn(StyleModel):
    """When the source says that a window is too long."""

    status: Whole = Field(
        ge=400,
        le=599,
        description="status of the answer to a window that is too long: it is halved, and asked for again",
    )
    when: When | None = Field(
        None,
        description="and what the body says; other answers of that status mean what they mean elsewhere",
    )
    smallest: PositiveDuration = written(
        "1s", description="no half is shorter; what is refused then is an error"
    )


class WindowKeys(StyleModel):
    """How the range of a pass is cut into windows."""

    type: Literal["window"] = Field(description="kind of range: of time")
    start_param: str | None = Field(None, min_length=1, description="query parameter of the start")
    start_to: Target | None = Field(
        None, description="where else the start goes, for example the body of a POST"
    )
    end_param: str | None = Field(None, min_length=1, description="query parameter of the end")
    end_to: Target | None = Field(None, description="where else the end goes")
    size: PositiveDuration = Field(description="longest window")
    lag: Duration = written(
        "5m",
        description="the last window ends this much before now: records that come later than this, or a clock that is more ahead, are missed",
    )
    end: Literal["exclusive", "inclusive"] = Field(
        "exclusive", description="does a record at the very end belong to the window"
    )
    step: PositiveDuration | None = Field(
        None,
        description="resolution of the parameters: windows begin at whole steps, and with an inclusive end each begins one step behind the end before; "
        "without it they share their boundary, and what comes twice is dropped",
    )
    split_on: SplitOn | None = Field(None, description="halve a window that the source refuses")

    @model_validator(mode="after")
    def _consistent(self) -> WindowKeys:
        wrong = Wrong()
        for name, param, target in (
            ("start", self.start_param, self.start_to),
            ("end", self.end_param, self.end_to),
        ):
            if (param is None) == (target is None):
                found = "neither" if param is None else "both"
                wrong.add(
                    (f"{name}_param",),
                    f"exactly one of {name}_param, {name}_to is needed, found {found}",
                    f"{name}_to",
                )
        if self.start is not None and self.start == self.end_:
            wrong.add(
                ("end_param",),
                f"start and end are the same parameter {self.start_param or 'there'!r}; the end needs one of its own",
                "start_param",
                "start_to",
                "end_to",
            )
        if self.step is not None and self.step > self.size:
            wrong.add(
                ("step",),
                f"step is {spoken(self.step)}, more than size, which is {spoken(self.size)}; at most size is allowed",
                "size",
            )
        if self.split_on is not None and self.split_on.smallest > self.size:
            why = f"smallest is {spoken(self.split_on.smallest)}, more than size, which is {spoken(self.size)}; at most size is allowed"
            wrong.add(("split_on", "smallest"), why, "size")
        wrong.check()
        return self

    @property
    def start(self) -> Target | None:
        """Where the start goes; None while that is wrong."""
        return self.start_to or (Target(param=self.start_param) if self.start_param else None)

    @property
    def end_(self) -> Target | None:
        """Where the end goes."""
        return self.end_to or (Target(param=self.end_param) if self.end_param else None)

    def plan(self, form: MarkFormat) -> Windows:
        """The same as the planner wants it; `form` is how the incremental field is written."""
        start_at, end_at = self.start, self.end_
        assert start_at is not None and end_at is not None
        number = (form.param or form.record) in _NUMBERS  # in a JSON body it is one

        def address(start: str, end: str) -> Address:
            return start_at.address(int(start) if number else start).plus(
                end_at.address(int(end) if number else end)
            )

        return Windows(
            size=max(round(self.size * MICROS), 1),
            form=form,
            address=address,
            lag=round(self.lag * MICROS),
            step=0 if self.step is None else max(round(self.step * MICROS), 1),
            inclusive=self.end == "inclusive",
            smallest=1 if self.split_on is None else max(round(self.split_on.smallest * MICROS), 1),
        )


class Within(WindowKeys):
    """Pages inside a window."""

    @model_validator(mode="before")
    @classmethod
    def _a_window(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("type", "window") != "window":
            wrong = Wrong()
            why = f"found type {str(value['type'])[:60]!r}, allowed are window: pages stand in it, and not in each other; their style stands beside within"
            wrong.add((), why)  # the whole: keys of the other style are not wrong one by one
            wrong.check()
        return value


class PagedConfig(StyleConfig):
    """Base of the styles that can walk the pages of one time window after the other."""

    within: Within | None = Field(
        None, description="read one time window after the other, and these pages inside each"
    )

    @property
    def windows(self) -> WindowKeys | None:
        return self.within


def spoken(seconds: float) -> str:
    """A duration as it is written."""
    units = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
    return next(
        (f"{seconds / unit:.0f}{name}" for unit, name in units if seconds and seconds % unit == 0),
        f"{seconds * 1000:g}ms",
    )
