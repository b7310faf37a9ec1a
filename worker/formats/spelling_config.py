"""The keys under `decode` that say how a source writes what JSON has no form for: times, nulls,
numbers and flags."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from worker.config.model import Issues, Model, unfit
from worker.config.problems import did_you_mean, listed
from worker.config.scalars import JmesPath, Whole, ZoneName
from worker.core.jsonpath import plain_keys
from worker.core.written_times import EPOCHS, JSON_DATE, USUAL, pattern_problem
from worker.schema.spellings import Keys, Numbers, Spellings, TimeForm

TIME_FORMATS: Final = (*EPOCHS, JSON_DATE, USUAL)
_YES: Final = ("true", "t", "yes", "y", "on", "1")
_NO: Final = ("false", "f", "no", "n", "off", "0")
_COERCED: Final = ("numbers", "booleans")


def _field_path(path: str) -> str:
    if not plain_keys(path):
        raise unfit(
            f"{path!r} is no path of a field",
            allowed='names of fields with dots between them are allowed, like detail.at or "a-b".c',
            remedy="arrays and maps on the way are passed through",
        )
    return path


FieldPath = Annotated[JmesPath, AfterValidator(_field_path)]
"""The names of fields that lead to a field."""


def _time_format(form: str) -> str:
    if form in TIME_FORMATS:
        return form
    if "%" not in form:
        hint = did_you_mean(form, TIME_FORMATS)
        raise ValueError(
            f"{hint + '; ' if hint else ''}{listed(TIME_FORMATS)} and strptime patterns like "
            "%d.%m.%Y %H:%M"
        )
    if problem := pattern_problem(form):
        raise ValueError(problem)
    return form


def _only_named(value: Any) -> Any:
    """`{name: [texts]}` alone stands for a list with nothing else in it."""
    return [value] if isinstance(value, dict) else value


def _by_name(value: Any) -> Any:
    """`[numbers, booleans]` stands for both with their defaults."""
    if not isinstance(value, list | tuple):
        return value
    for each in value:
        if each not in _COERCED:
            hint = did_you_mean(each, _COERCED)
            raise ValueError(f"{hint + '; ' if hint else ''}{listed(_COERCED)}")
    return {each: {} if each == "numbers" else (_YES, _NO) for each in value}


NamedNulls = dict[FieldPath, tuple[str, ...]]
Word = Annotated[str, Field(min_length=1)] | Whole


class CoerceNumbers(Model):
    """Numbers in text."""

    group: str = Field(
        ",", max_length=1, description="between groups of three digits; empty: nothing is"
    )
    decimal: str = Field(".", min_length=1, max_length=1, description="the decimal sign")

    @model_validator(mode="after")
    def _distinct(self) -> CoerceNumbers:
        issues = Issues()
        for key, sign in (("group", self.group), ("decimal", self.decimal)):
            if sign.isalnum() or sign in ("+", "-"):
                issues.add((key,), f"{sign!r} is a part of numbers themselves")
        if self.group == self.decimal:
            issues.add(("group",), f"group and decimal are both {self.group!r}", "decimal")
        issues.check()
        return self


class Coerce(Model):
    """What is read from other JSON types than the schema has."""

    numbers: CoerceNumbers | None = Field(None, description="numbers in text, like 1,234.5")
    booleans: tuple[tuple[Word, ...], tuple[Word, ...]] | None = Field(
        None,
        description=(
            "texts, in any case, and numbers that are true, and those that are false; in the list "
            f"form {' '.join(_YES)} and {' '.join(_NO)}"
        ),
    )

    @model_validator(mode="after")
    def _apart(self) -> Coerce:
        issues = Issues()
        if self.booleans is not None:
            yes, no = (frozenset(map(_word, words)) for words in self.booleans)
            if both := sorted(yes & no):
                issues.add(("booleans",), f"{both[0]!r} means both true and false")
        issues.check()
        return self

    @property
    def flags(self) -> dict[str | int, bool]:
        """What text, in lower case, or number means true or false; digits mean it as both."""
        found: dict[str | int, bool] = {}
        for meaning, words in zip((True, False), self.booleans or ((), ()), strict=True):
            for word in map(_word, words):
                found[word] = meaning
                if word.isdecimal():
                    found[int(word)] = meaning
        return found


def _word(word: str | int) -> str:
    return str(word).strip().lower()


LISTED_FLAGS: Final = Coerce(booleans=(_YES, _NO)).flags
"""What `coerce: [booleans]` reads."""


class SpellingKeys(Model):
    """The keys themselves, which formats of untyped values have in common."""

    times: dict[FieldPath, Annotated[str, AfterValidator(_time_format)]] = Field(
        {},
        description=(
            "field -> how its times are written: epoch_s | epoch_ms | epoch_us | epoch_ns (numbers "
            "or text) | json_date | rfc3339 | strptime pattern"
        ),
    )
    time_zone: ZoneName | None = Field(
        None, description="of times in text that name none, like Europe/Berlin"
    )
    null_values: Annotated[
        tuple[str | NamedNulls, ...],
        BeforeValidator(
            _only_named, json_schema_input_type=tuple[str | NamedNulls, ...] | NamedNulls
        ),
    ] = Field(
        (),
        description=(
            'texts that mean null in nullable fields that are no text; {name: ["-"]} among them: '
            "in that field, even if it is text"
        ),
    )
    coerce: Annotated[
        Coerce,
        BeforeValidator(
            _by_name,
            json_schema_input_type=tuple[Literal["numbers", "booleans"], ...] | Coerce,
        ),
    ] = Field(
        default_factory=Coerce,
        description="[numbers, booleans], or how they are written: read them from text",
    )

    @property
    def unspelled(self) -> Self:
        """The same without what is said of single fields."""
        return self.model_copy(update={"times": {}, "null_values": ()})

    @property
    def spellings(self) -> Spellings:
        """The same as the checks want it."""
        zone = self.time_zone or ""
        named: dict[Keys, frozenset[str]] = {}
        for each in self.null_values:
            for path, texts in each.items() if isinstance(each, dict) else ():
                keys = plain_keys(path) or ()
                named[keys] = named.get(keys, frozenset()) | frozenset(texts)
        numbers = self.coerce.numbers
        return Spellings(
            zone=zone,
            times={
                plain_keys(path) or (): TimeForm(form, zone) for path, form in self.times.items()
            },
            nulls=frozenset(each for each in self.null_values if isinstance(each, str)),
            named_nulls=named,
            numbers=None if numbers is None else Numbers(numbers.group, numbers.decimal),
            booleans=self.coerce.flags,
        )
