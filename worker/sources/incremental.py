"""How a source is read from its mark on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from worker.config.effects import Effect
from worker.config.model import Issues, Model
from worker.config.problems import did_you_mean, listed
from worker.config.scalars import (
    Duration,
    JmesPath,
    ParamName,
    ParamValue,
    PositiveDuration,
    Whole,
    ZoneName,
    unit_field,
)
from worker.config.short_forms import Short, WithShortForms
from worker.core.cursor import Json
from worker.core.errors import ConfigError
from worker.core.instants import MICROS
from worker.core.model import Facts
from worker.core.time_patterns import pattern_flaw, unreadable
from worker.core.urls import not_in_query
from worker.core.written_times import EPOCHS, JSON_DATE, USUAL
from worker.paging.marks import MarkFormat
from worker.paging.spec import IncrementalSpec
from worker.paging.style import Address
from worker.sources.pagination.common import is_end
from worker.sources.places import Locator, TokenTarget

_UNTIMED: Final = ("int", "string")
"""Formats of marks that are no times."""
_NUMBERS: Final = ("int", *EPOCHS)
"""Formats of marks that are numbers in JSON."""
_KNOWN: Final = (USUAL, *EPOCHS, JSON_DATE, *_UNTIMED)


def _allowed() -> str:
    return f"{listed(_KNOWN)} and strptime patterns like %Y-%m-%d"


class MarkFormatConfig(Model):
    """How incremental values are written."""

    record: str = Field(
        "rfc3339",
        description=(
            "in records: rfc3339 | epoch_s | epoch_ms | epoch_us | epoch_ns | json_date | int | "
            "string | strptime pattern; it counts for the field in the schema, too"
        ),
    )
    param: str = Field("", description="the same, for the request; default: as in records")
    zone: ZoneName = Field(
        "UTC",
        description="time zone of patterns without one, like Europe/Berlin; where it is left out, "
        "decode.time_zone counts, if there is one",
    )
    round: Literal["down"] = Field(
        "down", description="what becomes of digits that the request's format lacks"
    )

    @field_validator("record", "param")
    @classmethod
    def _known(cls, value: str, info: ValidationInfo) -> str:
        if "%" in value:
            problem = pattern_flaw(value)
            if not problem and info.field_name == "record":  # it is read, not only written
                problem = unreadable(value)
            if problem:
                raise ValueError(f"{problem}; {_allowed()}")
            return value
        try:
            MarkFormat(value or "rfc3339").parser()
        except ConfigError as error:
            hint = did_you_mean(value, _KNOWN)
            raise ValueError(f"{hint + '; ' if hint else ''}{_allowed()}") from error
        return value

    @property
    def patterned(self) -> bool:
        """Whether times are written by a pattern, and so in a zone."""
        return "%" in f"{self.record}{self.param}"

    @property
    def marks(self) -> MarkFormat:
        """The same as the planner wants it: a zone that was set is also that of usual texts."""
        return MarkFormat(self.record, self.param, self.zone, "zone" in self.model_fields_set)


class Incremental(WithShortForms):
    """Read only what is new: from the mark that was reached."""

    shorts: ClassVar[tuple[Short, ...]] = (
        Short("param", "to", lambda name: TokenTarget(param=name)),
    )

    field: JmesPath = Field(
        "",
        validate_default=False,
        description="path of the value in a record that says how new it is",
    )
    from_: Locator | None = Field(
        None, alias="from", description="instead of field: a token of the response is the mark"
    )
    param: ParamName | None = Field(None, description="query parameter that carries the mark")
    to: TokenTarget | None = Field(
        None,
        description="where else the mark goes; or write {mark} in url, params, headers or body",
    )
    initial: str | Whole | None = Field(
        None,
        description=(
            "used while there is no mark; a time as requests or records have it, or of RFC 3339"
        ),
    )
    first: dict[ParamName, ParamValue] = Field(
        {},
        description=(
            "query parameters that are sent only while there is no mark; a list repeats one"
        ),
    )
    format: MarkFormatConfig = Field(
        default_factory=MarkFormatConfig, description="how the value is written"
    )
    overlap: Duration = unit_field("0s", description="ask from this much before the mark")
    newest_bound: Duration | None = Field(
        None, description="never ask for a bound newer than this much before now"
    )
    step: PositiveDuration | None = Field(
        None,
        description=(
            "the source rounds the bound down to whole steps, like 1d, counted in the zone of "
            "format; the bound is rounded before it is asked for"
        ),
    )
    below_bound: Literal["fail", "drop", "keep"] = Field(
        "fail",
        description=(
            "what a record below the bound is that is not known: an error, left out, or taken "
            "(each time that it comes)"
        ),
    )
    future: Literal["cap", "allow"] = Field(
        "cap", description="allow: the mark may be later than now, where records are"
    )
    order: Literal["ascending", "descending", "any"] = Field(
        "ascending", description="order in which the source sends records"
    )

    effects: ClassVar[tuple[Effect, ...]] = (
        *(
            Effect(
                key,
                lambda incremental: incremental.from_ is None,
                "the mark is a token of the response, which is sent back as it came",
                "it counts with incremental.field",
            )
            for key in ("order", "format.record", "format.param", "format.round")
        ),
        Effect(
            "to.encoded",
            lambda incremental: incremental.from_ is not None or not incremental.to.encoded,
            "the mark is a value of records, which is encoded when it is sent",
            "it counts with incremental.from",
        ),
        Effect(
            "below_bound",
            lambda incremental: incremental.from_ is None and incremental.format.record != "string",
            "no value can be held against the bound",
            "it counts with an incremental.field of times or whole numbers",
        ),
        Effect(
            "future",
            lambda incremental: incremental.timed,
            "no mark is a time",
            "it counts with an incremental.field of times",
        ),
        Effect(
            "format.zone",
            lambda incremental: (
                incremental.timed and (incremental.format.patterned or incremental.step is not None)
            ),
            "the formats say the zone themselves",
            "it counts with a strptime pattern in format.record or format.param, and with step",
        ),
    )
    """Keys that count only beside others."""

    @model_validator(mode="after")
    def _consistent(self) -> Incremental:
        issues = Issues()
        self._check_origin(issues)
        self._check_times(issues)
        self._check_formats(issues)
        issues.check()
        return self

    @property
    def reads_all(self) -> bool:
        """Whether the source may be given no bound: what is older is left out here."""
        left_out = self.below_bound == "drop" or self.order == "descending"
        return bool(self.field) and left_out

    @property
    def timed(self) -> bool:
        """Whether marks are times: those of a field, in a format that is no int or string."""
        return self.from_ is None and self.format.record not in _UNTIMED

    @property
    def mark_kind(self) -> str:
        """What its marks are: `token`, `instant`, `int` or `string`."""
        if self.from_ is not None:
            return "token"
        return "instant" if self.timed else self.format.record

    def _check_origin(self, issues: Issues) -> None:
        """The mark comes from one place, and goes to one place."""
        if not self.field and self.from_ is None:
            issues.add(
                ("field",), "field or from is needed: what says how far the source has come", "from"
            )
        if self.field and self.from_ is not None:
            issues.add(("from",), "field and from are both given; the mark is one of them")
        if len(self.ways("to")) > 1:
            issues.add(("to",), "param and to are both given; take one of them out")
        encoded = self.to is not None and self.to.encoded
        if encoded and (wrong := not_in_query(str(self.initial or ""))):
            issues.add(
                ("initial",),
                f"initial has {wrong!r}, which no value in a query may have, and to.encoded sends "
                "it as it is",
                "encoded",
                remedy="percent-encode it",
            )

    def _check_times(self, issues: Issues) -> None:
        """What is added to marks, or compared with now, needs times."""
        given = {
            "overlap": self.overlap > 0,
            "newest_bound": self.newest_bound is not None,
            "step": self.step is not None,
        }
        for key in (key for key, there in given.items() if there and not self.timed):
            issues.add(
                (key,),
                f"{key} needs marks that are times: a field, and a format that is no int or string",
                "format",
                "field",
            )

    def _check_formats(self, issues: Issues) -> None:
        """Requests can say the marks that records have, and the first mark is one of them."""
        record, param = self.format.record, self.format.param
        if param and self.from_ is None and (param in _UNTIMED) != (record in _UNTIMED):
            issues.add(
                ("format", "param"), f"{param!r} cannot be made of {record!r} values", "record"
            )
        if self.field and self.initial is not None and (record, param) == (USUAL, ""):
            try:
                self.format.marks.parser()(self.initial)
            except (ValueError, TypeError):
                issues.add(
                    ("initial",),
                    "initial is no RFC 3339 time with a zone, like 2024-01-01T00:00:00Z",
                    "format",
                )

    def spec(self, sent: str) -> IncrementalSpec:
        """The same as the planner wants it; `sent` says what carries the bound, if anything."""
        return IncrementalSpec(
            field=self.field,
            format=self.format.marks,
            initial=self._first,
            overlap_s=self.overlap,
            order=self.order,
            token=self._token if self.from_ is not None else None,
            newest_bound_s=self.newest_bound,
            step_us=round(self.step * MICROS) if self.step else 0,
            below=self.below_bound,
            sent=sent,
            capped=self.future == "cap" and self.timed,
        )

    def _token(self, facts: Facts, headers: Mapping[str, str]) -> Json:
        """The token of a response, which the first request of the next pass carries.

        Raises PermanentError for one that cannot be sent.
        """
        assert self.from_ is not None
        token = self.from_.read(facts, headers)
        if self.to is not None and not is_end(token):
            self.to.refuse_unencoded(token)
        return token

    @property
    def target_path(self) -> tuple[str, str]:
        """The key that says where a request carries the mark."""
        return ("incremental", self.written_as("to"))

    def address(self, since: Json) -> Address:
        """What the bound of a pass adds to a request.

        In a body a number stays one; `initial` as text says that the source wants text.
        """
        if self.to is None:
            return Address()
        number = self.from_ is None and (self.format.param or self.format.record) in _NUMBERS
        if number and isinstance(since, str) and not isinstance(self._first, str):
            return self.to.address(int(since))
        return self.to.address(since)

    @property
    def _first(self) -> str | int | None:
        """`initial` as requests have it."""
        if self.initial is None or not self.timed:
            return self.initial
        first: str | int = self.format.marks.first(self.initial)
        return first
