"""What a record is in the value at the records path of a page. Pure values.

The path leads to a *value*. The value has *items*: the elements of an array, the values of an
object (`map_key`), or itself (`single`, `zip`). An item is one record, or it has several
*elements*: those of an array in it (`each`), or the rows of parallel arrays (`zip`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Shape:
    """How records are made of the value at the records path.

    Attributes:
        each: path, within an item, of the array whose elements are the records.
        names: of the places of records that are arrays.
        keep: field of the record -> path of its value in the item.
        map_key: field of the record that gets the key under which its item stands; empty: the
            value is an array.
        zip: names of parallel arrays, each of which is a column of the records.
        envelope: field of the record -> path of its value in the page.
        single: an object in place of an array is one record; null, absent and empty text are none.
        parse: text in place of a value holds it as JSON.
        alone: an object in place of an array is one item, as with `single`, but what is absent is
            missing.
        hollow: an element without anything in it, on the way to the value, has no items.
    """

    each: str | None = None
    names: tuple[str, ...] = ()
    keep: Mapping[str, str] = field(default_factory=dict)
    map_key: str = ""
    zip: tuple[str, ...] = ()
    envelope: Mapping[str, str] = field(default_factory=dict)
    single: bool = False
    parse: bool = False
    alone: bool = False
    hollow: bool = False

    @property
    def plain(self) -> bool:
        """Whether the value is the array of the records, as they are."""
        return self == PLAIN

    @property
    def divides(self) -> bool:
        """Whether an item may be several records, or none."""
        return self.each is not None or bool(self.zip)

    @property
    def added(self) -> tuple[str, ...]:
        """The fields that a record gets from around it."""
        return (*((self.map_key,) if self.map_key else ()), *self.keep, *self.envelope)


PLAIN = Shape()
