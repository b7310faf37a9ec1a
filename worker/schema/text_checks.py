"""Checks of values that may be written as text. Where most values of a page differ, the column is
read at once; where they repeat, each text is read once, and remembered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import compress, repeat
from operator import attrgetter
from typing import Any, Final, NamedTuple

from worker.core.json_kinds import describe_kind
from worker.core.model import FieldError
from worker.schema.codegen import compile_column
from worker.schema.values import Check, QuickCheck

REMEMBERED_TEXTS: Final = 10_000
LOOKED_AT: Final = 32
"""Values of a column that are looked at before the whole column is."""
WORTH_A_COLUMN: Final = 8
"""So many texts are read at once sooner than one by one."""
NULL_HINT: Final = "; decode.null_values names texts that mean null"


class Plain(NamedTuple):
    """Values that are no text and need no look: code in which `x` is the value.

    Attributes:
        keeps: whether the value is its own datum.
        makes: whether `made` is its datum.
    """

    keeps: str
    makes: str = "False"
    made: str = "x"


class Unreadable(ValueError):
    """A text that cannot be read, with what it is and what is allowed instead."""

    def __init__(self, found: str, allowed: str) -> None:
        super().__init__(found)
        self.found, self.allowed = found, allowed


ReadColumn = Callable[[Sequence[Any]], Sequence[Any] | None]
"""Values -> their datums, None for each that is not read here; or None for all. It reads a value as
the check does, or not at all, and never raises."""


class TextCheck(QuickCheck):
    """The check of values that are text, or something else.

    Args:
        other: the check of values that are no text.
        plain: those of them that need no check.
        read: text -> datum. It raises Unreadable, or another error for text that is `allowed` not.
        allowed: what is allowed, in words.
        read_column: what reads many values at once.
        columns: the Python types of values that it reads.
    """

    def __init__(
        self,
        other: Check,
        plain: Plain,
        read: Callable[[str], Any],
        allowed: str,
        read_column: ReadColumn = lambda values: None,
        columns: frozenset[type] = frozenset({str}),
    ) -> None:
        self._other, self._plain, self._read, self._allowed = other, plain, read, allowed
        self._read_column, self._columns = read_column, columns
        self._not_remembered = columns - {str}
        self._nulls: frozenset[str] = frozenset()
        self._nullable = False
        self._known: dict[str, Any] = {}

    def or_null(self, nulls: frozenset[str]) -> TextCheck:
        """The same check where null is allowed, and where these texts mean it."""
        made = TextCheck(
            self._other, self._plain, self._read, self._allowed, self._read_column, self._columns
        )
        made._plain = self._plain._replace(keeps=f"x is None or {self._plain.keeps}")
        made._nullable, made._nulls = True, nulls
        return made

    def quick(self, records: Sequence[Any], attribute: str) -> Sequence[int]:
        """See `QuickCheck`."""
        if len(records) < LOOKED_AT:
            return self._repeating(records, attribute)
        first = list(map(attrgetter(attribute), records[:LOOKED_AT]))
        if self._columns.isdisjoint(map(type, first)) or not self._differ(first):
            return self._repeating(records, attribute)
        rest = self._differing(records, attribute)
        if len(rest) == len(records):
            return self._repeating(records, attribute)
        others = [records[index] for index in rest]
        return [rest[place] for place in self._repeating(others, attribute)]

    def _differing(self, records: Sequence[Any], attribute: str) -> Sequence[int]:
        """Replaces values that are read as a column, if most of them differ; returns the indices of
        the others."""
        values = list(map(attrgetter(attribute), records))
        if not self._differ(values):
            return range(len(values))
        has_nulls = self._nulls and not self._nulls.isdisjoint(values)
        datums = None if has_nulls else self._read_column(values)
        if datums is not None:
            return _put(datums, records, attribute)
        return self._between_others(values, records, attribute)

    def _between_others(
        self, values: Sequence[Any], records: Sequence[Any], attribute: str
    ) -> Sequence[int]:
        """The same where some of the values are null, or of types that are in no column."""
        columns, nulls = self._columns, self._nulls
        usual = [type(x) in columns and x not in nulls for x in values]
        read = list(compress(values, usual))
        datums = self._read_column(read) if read else None
        if datums is None:
            return range(len(values))
        left = _put(datums, list(compress(records, usual)), attribute)
        others = [place for place, chosen in enumerate(usual) if not chosen]
        if not left:
            return others
        places = list(compress(range(len(values)), usual))
        return sorted([*others, *(places[each] for each in left)])

    def _differ(self, values: Sequence[Any]) -> bool:
        """Whether most of some values stand once; also where numbers repeat that a column is read
        of, because only texts are remembered: 1.0 is equal to true."""
        try:
            different = set(values)
        except TypeError:  # a list or an object
            return False
        most_differ = 2 * len(different) > len(values)
        return most_differ or not self._not_remembered.isdisjoint(map(type, different))

    def _repeating(self, records: Sequence[Any], attribute: str) -> Sequence[int]:
        """Replaces values of which each text is read once; returns the indices of the others."""
        column = compile_column(attribute, *self._plain)
        rest = column(records, self._known.get)
        if not rest:
            return rest
        others = [records[index] for index in rest]
        self._learn_all({x for x in map(attrgetter(attribute), others) if type(x) is str})
        return [rest[place] for place in column(others, self._known.get)]

    def _learn_all(self, texts: set[str]) -> None:
        usual = list(texts - self._nulls)
        datums = self._read_column(usual) if len(usual) >= WORTH_A_COLUMN else None
        if datums is not None:
            self._make_room(len(usual))
            read = {text: x for text, x in zip(usual, datums, strict=True) if x is not None}
            self._known |= read
            texts -= read.keys()
        for text in texts:
            with suppress(ValueError, ArithmeticError):  # the check itself says what is wrong
                self._learn(text)

    def _make_room(self, texts: int) -> None:
        if len(self._known) + texts > REMEMBERED_TEXTS:
            self._known.clear()

    def _learn(self, text: str) -> Any:
        """The datum of a text that is not known yet."""
        datum = None if text in self._nulls else self._read(text)
        self._make_room(1)
        self._known[text] = datum
        return datum

    def __call__(self, value: Any, path: str, errors: list[FieldError]) -> Any:
        if value is None and self._nullable:
            return None
        if not isinstance(value, str):
            return self._other(value, path, errors)
        if value in self._known:
            return self._known[value]
        try:
            return self._learn(value)
        except Unreadable as error:
            found, allowed = error.found, error.allowed
        except (ValueError, ArithmeticError):
            found, allowed = describe_kind(value), self._allowed
        hint = NULL_HINT if self._nullable and not self._nulls else ""
        errors.append(FieldError(path, found, f"{allowed}{hint}"))
        return None


def _put(datums: Sequence[Any], records: Sequence[Any], attribute: str) -> Sequence[int]:
    """Replaces values by their datums; returns the indices of those that have none."""
    if None not in datums:
        deque(map(setattr, records, repeat(attribute), datums), maxlen=0)
        return ()
    for record, datum in zip(records, datums, strict=True):
        if datum is not None:
            setattr(record, attribute, datum)
    return [place for place, datum in enumerate(datums) if datum is None]
