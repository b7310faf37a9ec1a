"""What the parts of the program hand to each other are values, which nobody changes on the way:
threads of the IO pool read them while the event loop goes on.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final, Protocol

import msgspec
import pytest
from pydantic import BaseModel

ROOMS: Final = ("core", "paging", "sinks", "state")
"""The packages that decide what lands, and are slow to import in none of their parts."""
CHANGING: Final = {
    "worker.core.audit.ChainAudit": "it goes from commit to commit",
    "worker.core.meter.Totals": "it grows with each commit",
    "worker.core.model.Decoded": "a page has parts that are found one after the other",
    "worker.core.model.Facts": "a page has parts that are found one after the other",
    "worker.core.rebuild._Partition": "it grows with each commit",
    "worker.paging.duplicates.Known": "it grows with each record of a page",
}
"""Those that are no values, and why."""


def classes() -> Iterator[Any]:
    for room in ROOMS:
        package = importlib.import_module(f"worker.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for found in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(found) and found.__module__ == module.name:
                    yield found


def named(found: type) -> str:
    return f"{found.__module__}.{found.__qualname__}"


def is_record(found: type) -> bool:
    """Whether a class has fields and leaves it to somebody else to write its `__init__`."""
    types = map(str, inspect.get_annotations(found).values())
    own = "__init__" in vars(found) and "__dataclass_params__" not in vars(found)
    other = issubclass(found, BaseModel | BaseException | tuple) or Protocol in found.__bases__
    return any("ClassVar" not in each for each in types) and not own and not other


RECORDS: Final = sorted(filter(is_record, classes()), key=named)


@pytest.mark.parametrize("record", RECORDS, ids=named)
def test_what_has_fields_is_a_value_unless_it_has_a_reason_to_change(record: Any) -> None:
    if issubclass(record, msgspec.Struct):
        frozen = record.__struct_config__.frozen
    else:
        assert "__dataclass_params__" in vars(record), "neither a dataclass nor a struct"
        frozen = record.__dataclass_params__.frozen
        # a cached property is kept where slots leave no room
        cached = any(isinstance(each, cached_property) for each in vars(record).values())
        assert cached or "__slots__" in vars(record)
    assert frozen != (named(record) in CHANGING)


def test_what_changes_is_there() -> None:
    assert {*CHANGING} <= {named(record) for record in RECORDS}
