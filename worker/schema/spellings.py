"""How a source writes values that JSON has no form for: times, nulls, numbers and flags in text.

These are the keys `decode.times`, `time_zone`, `null_values` and `coerce`, as the checks want them.
A path names fields only: arrays, maps and unions on its way are passed through, so that `lines.at`
is the field `at` of every record in the array `lines`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from worker.core.written_times import USUAL

Keys = tuple[str, ...]
"""The names of fields that lead to a field, as JSON has them."""


class TimeForm(NamedTuple):
    """How the times of a field are written.

    Attributes:
        form: see `time_reader` in core/written_times.py.
        zone: of times that name none; empty: they are refused.
    """

    form: str = USUAL
    zone: str = ""


class Numbers(NamedTuple):
    """How numbers are written in text.

    Attributes:
        group: what separates groups of three digits before the decimal sign; empty: nothing does.
        decimal: the decimal sign.
    """

    group: str = ","
    decimal: str = "."


@dataclass(frozen=True, eq=False)
class Place:
    """What is said of one field, and of the fields below it.

    Attributes:
        time: how its times are written; None: as usual.
        nulls: texts that mean null here, whatever the type.
    """

    time: TimeForm | None = None
    nulls: frozenset[str] = frozenset()
    below: Mapping[str, Place] = field(default_factory=dict)

    def field(self, name: str) -> Place:
        """The place of a field of a record that stands here."""
        return self.below.get(name, ELSEWHERE)


ELSEWHERE: Final = Place()
"""Every place of which nothing is said."""


@dataclass(frozen=True, eq=False)
class Spellings:
    """What the source says about how it writes values.

    Attributes:
        zone: of times in text that name none; empty: they are refused.
        times: field -> how its times are written.
        nulls: texts that mean null in nullable fields that are no text.
        named_nulls: field -> texts that mean null there, even if it is text.
        numbers: how numbers are written in text; None: they are refused.
        booleans: what text or number means true or false, text in lower case; empty: none does.
    """

    zone: str = ""
    times: Mapping[Keys, TimeForm] = field(default_factory=dict)
    nulls: frozenset[str] = frozenset()
    named_nulls: Mapping[Keys, frozenset[str]] = field(default_factory=dict)
    numbers: Numbers | None = None
    booleans: Mapping[str | int, bool] = field(default_factory=dict)

    @cached_property
    def root(self) -> Place:
        """The place of the records themselves."""
        return self._place(())

    def _place(self, keys: Keys) -> Place:
        depth = len(keys)
        named = (each for each in (*self.times, *self.named_nulls) if each[:depth] == keys)
        names = {each[depth] for each in named if len(each) > depth}
        return Place(
            self.times.get(keys),
            self.named_nulls.get(keys, frozenset()),
            {name: self._place((*keys, name)) for name in names},
        )


AS_USUAL: Final = Spellings()
