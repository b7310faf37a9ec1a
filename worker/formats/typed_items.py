"""Items whose elements are the records, decoded in one typed call. Pure.

A record gets the fields that stand around it (`keep`, `envelope`) as values, with the type that the
schema gives them; its text is never put together. That is left to json_cut.py for all that is not
as usual here: a value of another type, a field that a record has itself, an item without its array.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any, Final

import msgspec
from msgspec import NODEFAULT, UNSET
from msgspec.structs import FieldInfo, fields

from worker.core.jsonpath import plain_keys
from worker.core.model import MISSING
from worker.core.ports import Plan
from worker.formats.envelope import Keys, Leaves, build_leaves
from worker.formats.json_texts import separate_keys
from worker.formats.shape import Shape

_SHARED: Final = (list, dict, msgspec.Struct)
"""Values that a record must have for itself: a step may change them."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A field that records get, and where its value stands.

    Attributes:
        attribute: of the decoded record; empty for a field that the schema lacks.
        of_record: the values of some records, UNSET where they have none themselves.
        default: of a value that is absent; MISSING where one is needed.
        get: reads the value of what it stands in.
    """

    attribute: str
    of_record: Callable[[Any], Any]
    default: Any
    get: Callable[[Any], Any]


class TypedItems:
    """How the items of a pipeline are decoded.

    Args:
        items: the text of an array of items -> the items.
        rows: of an item its array of records, None for null; None: the item is the record.
        kept: fields of an item.
        around: the text of an object of the fields of the page -> it.
        page: these fields.
        absent_is_none: an item without its array has no records.
    """

    def __init__(
        self,
        items: Callable[[bytes], list[Any]],
        rows: Callable[[Any], Any] | None,
        kept: Sequence[_Place],
        around: Callable[[bytes], Any],
        page: Sequence[_Place],
        *,
        absent_is_none: bool,
    ) -> None:
        self._items, self._rows, self._kept = items, rows, kept
        self._around, self._page, self._absent_is_none = around, page, absent_is_none

    def records(self, array: bytes, around: bytes) -> list[list[Any]] | None:
        """The records of each item; None where only their texts say what they are.

        Args:
            around: an object of the fields of the page.
        """
        try:
            items, page = self._items(array), self._around(around)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None
        found = self._found(items)
        if found is None or not self._filled(items, found):
            return None
        everyone = list(chain.from_iterable(found)) if self._page else ()
        return found if all(_put(place, page, everyone) for place in self._page) else None

    def _found(self, items: list[Any]) -> list[list[Any]] | None:
        if self._rows is None:
            return [[item] for item in items]
        found = list(map(self._rows, items))
        if not self._absent_is_none and MISSING in found:
            return None
        return [rows or [] for rows in found]

    def _filled(self, items: list[Any], found: list[list[Any]]) -> bool:
        return all(
            _put(place, item, rows)
            for place in self._kept
            for item, rows in zip(items, found, strict=True)
        )


def _put(place: _Place, source: Any, records: Sequence[Any]) -> bool:
    """Puts the value of a field into records; False where they cannot all have it."""
    value = place.get(source)
    if value is MISSING:
        value = place.default
    if value is MISSING or isinstance(value, _SHARED):
        return False
    if list(map(place.of_record, records)).count(UNSET) < len(records):
        return False
    attribute = place.attribute
    for record in records:
        setattr(record, attribute, value)
    return True


def typed_items(shape: Shape, plan: Plan, *, absent_is_none: bool) -> TypedItems | None:
    """None for a shape that only texts can have, and where paths are more than keys or overlap."""
    known = {each.encode_name: each for each in fields(plan.record_type)}
    if _needs_texts(shape) or set(shape.added) - known.keys():
        return None
    records = _list_of(_without(plan.record_type, shape.added))
    page: dict[Keys, str] = {(name,): name for name in shape.envelope}
    around = build_leaves({keys: known[name].type for keys, name in page.items()})
    if around is None:
        return None
    made = partial(
        TypedItems,
        around=plan.decoder(around.type),
        page=_places(page, around, known),
        absent_is_none=absent_is_none,
    )
    if shape.each is None:
        return made(plan.decoder(records), None, ())
    item = _item(shape.each, shape, records, known)
    if item is None:
        return None
    leaves, kept = item
    return made(
        plan.decoder(_list_of(leaves.type)),
        leaves.getter(plain_keys(shape.each) or ()),
        _places(kept, leaves, known),
    )


def _needs_texts(shape: Shape) -> bool:
    return bool(shape.names or shape.map_key or shape.zip or shape.parse)


def _list_of(form: Any) -> Any:
    return list.__class_getitem__(form)


def _item(
    each: str, shape: Shape, records: Any, known: Mapping[str, FieldInfo]
) -> tuple[Leaves, dict[Keys, str]] | None:
    """The shape of an item, and the field that each value in it is kept as."""
    keys = separate_keys((each, *shape.keep.values()))
    if keys is None or len(set(keys)) < len(keys):
        return None
    kept = dict(zip(keys[1:], shape.keep, strict=True))
    kinds = {keys[0]: records | None} | {at: known[name].type for at, name in kept.items()}
    leaves = build_leaves(kinds)
    return None if leaves is None else (leaves, kept)


def _places(
    names: Mapping[Keys, str], leaves: Leaves, known: Mapping[str, FieldInfo]
) -> list[_Place]:
    return [_place(known[name], leaves.getter(keys)) for keys, name in names.items()]


def _place(field: FieldInfo, get: Callable[[Any], Any]) -> _Place:
    default = MISSING if field.default is NODEFAULT else field.default
    return _Place(field.name, attrgetter(field.name), default, get)


def _without(record: Any, names: Collection[str]) -> Any:
    """The type of a record without some fields, which it need not have itself."""
    known = fields(record)
    return msgspec.defstruct(
        record.__name__,
        [_field(each, given=each.encode_name in names) for each in known],
        rename={each.name: each.encode_name for each in known},
        kw_only=True,
        gc=False,  # as for the whole record
        forbid_unknown_fields=record.__struct_config__.forbid_unknown_fields,
    )


def _field(each: FieldInfo, *, given: bool) -> tuple[Any, ...]:
    if given:
        return each.name, Any, UNSET
    if each.default_factory is not NODEFAULT:
        return each.name, each.type, msgspec.field(default_factory=each.default_factory)
    return (each.name, each.type) if each.required else (each.name, each.type, each.default)
