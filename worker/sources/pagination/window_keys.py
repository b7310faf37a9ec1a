"""The keys of a time window, of the style `window` and of `within` in another style."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final, Literal

from pydantic import Field, model_validator

from worker.config.model import Issues, Model
from worker.config.scalars import (
    Duration,
    ParamName,
    PositiveDuration,
    Whole,
    duration_text,
    unit_field,
)
from worker.config.short_forms import Short, WithShortForms
from worker.core.instants import MICROS
from worker.paging.marks import MarkFormat
from worker.paging.style import Address
from worker.paging.windows import Windows
from worker.sources.conditions import When
from worker.sources.places import Target, param_target

_NUMBERS: Final = ("epoch_s", "epoch_ms", "epoch_us")


class SplitOn(Model):
    """When the source says that a window is too long."""

    status: Whole = Field(
        ge=400,
        le=599,
        description=(
            "status of the answer to a window that is too long: it is halved, and asked for again"
        ),
    )
    when: When | None = Field(
        None,
        description=(
            "and what the body says; other answers of that status mean what they mean elsewhere"
        ),
    )
    smallest: PositiveDuration = unit_field(
        "1s", description="no half is shorter; what is refused then is an error"
    )


class WindowKeys(WithShortForms):
    """How the range of a pass is cut into windows."""

    shorts: ClassVar[tuple[Short, ...]] = (
        Short("start_param", "start_to", param_target),
        Short("end_param", "end_to", param_target),
    )

    type: Literal["window"] = Field(description="kind of range: of time")
    start_param: ParamName | None = Field(None, description="query parameter of the start")
    start_to: Target | None = Field(
        None, description="where else the start goes, for example the body of a POST"
    )
    end_param: ParamName | None = Field(None, description="query parameter of the end")
    end_to: Target | None = Field(None, description="where else the end goes")
    size: PositiveDuration = Field(description="longest window")
    lag: Duration = unit_field(
        "5m",
        description=(
            "the last window ends this much before now: records that come later than this, or a "
            "clock that is more ahead, are missed"
        ),
    )
    end: Literal["exclusive", "inclusive"] = Field(
        "exclusive", description="does a record at the very end belong to the window"
    )
    step: PositiveDuration | None = Field(
        None,
        description=(
            "resolution of the parameters: windows begin at whole steps, and with an inclusive end "
            "each begins one step behind the end before; without it they share their boundary, "
            "and what comes twice is dropped"
        ),
    )
    split_on: SplitOn | None = Field(None, description="halve a window that the source refuses")

    @model_validator(mode="after")
    def _consistent(self) -> WindowKeys:
        issues = Issues()
        self._check_targets(issues)
        self._check_lengths(issues)
        issues.check()
        return self

    def _check_targets(self, issues: Issues) -> None:
        """Start and end go to one place each, and not to the same."""
        for name in ("start", "end"):
            ways = self.ways(f"{name}_to")
            if len(ways) != 1:
                found = "both" if ways else "neither"
                issues.add(
                    (f"{name}_param",),
                    f"exactly one of {name}_param, {name}_to is needed, found {found}",
                    f"{name}_to",
                )
        if self.start_to is not None and self.start_to == self.end_to:
            issues.add(
                ("end_param",),
                (
                    f"start and end are the same parameter {self.start_param or 'there'!r}; the "
                    "end needs one of its own"
                ),
                "start_param",
                "start_to",
                "end_to",
            )

    def _check_lengths(self, issues: Issues) -> None:
        """Nothing that a window is cut by is longer than a window."""
        lengths: list[tuple[tuple[str, ...], float | None]] = [(("step",), self.step)]
        if self.split_on is not None:
            lengths.append((("split_on", "smallest"), self.split_on.smallest))
        for path, length in lengths:
            if length is not None and length > self.size:
                issues.add(
                    path,
                    f"{path[-1]} is {duration_text(length)}, more than size, which is"
                    f" {duration_text(self.size)}; at most size is allowed",
                    "size",
                )

    @property
    def ends(self) -> Iterator[tuple[str, Target]]:
        """(key, place) of start and end; they are written as one of two keys each."""
        for general, target in (("start_to", self.start_to), ("end_to", self.end_to)):
            if target is not None:
                yield self.written_as(general), target

    def plan(self, form: MarkFormat) -> Windows:
        """The same as the planner wants it; `form` is how the incremental field is written."""
        start_at, end_at = self.start_to, self.end_to
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
