"""Fields that the schema lacks are counted, and announced once."""

from __future__ import annotations

from worker.core.events import Event, FieldUnknown
from worker.core.model import Facts, Unknown
from worker.sources.unknown_fields import MAX_UNKNOWN, UnknownFields


def page(**unknown: Unknown) -> Facts:
    return Facts(1, unknown=unknown)


def test_counts_and_types_of_pages_are_added_up_and_a_field_is_announced_once() -> None:
    events: list[Event] = []
    fields = UnknownFields("items", events.append)
    fields.add(page(a=Unknown(2, ("text",))))
    fields.add(page(a=Unknown(1, ("null",)), b=Unknown(1, ("object",))))
    assert fields.status() == {
        "a": {"records": 3, "types": ["null", "text"]},
        "b": {"records": 1, "types": ["object"]},
    }
    assert events == [
        FieldUnknown("items", "a", ("text",)),
        FieldUnknown("items", "b", ("object",)),
    ]


def test_the_number_of_fields_is_limited() -> None:
    events: list[Event] = []
    fields = UnknownFields("items", events.append)
    for number in range(MAX_UNKNOWN + 5):
        fields.add(page(**{f"key_{number}": Unknown(1, ("text",))}))
    fields.add(page(key_0=Unknown(1, ("text",))))
    assert len(fields.status()) == len(events) == MAX_UNKNOWN
    assert fields.status()["key_0"]["records"] == 2
