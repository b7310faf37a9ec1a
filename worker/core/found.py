"""Partitions that are found: lists of values in the committed records of a pipeline. Pure.

A *list* is what other pipelines look for in the records of one: a field, and fields whose values
are carried with it. What a commit brings for its lists is written in its own transaction, so that a
partition is known exactly as long as the record that names it.

Where the pipeline is read whole in each pass, a value that a pass does not bring has vanished from
the list. A list that is empty after one that was not, or that has less than half of the values,
is more likely an error of the source: it does not replace the one before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

FILE: Final = "@file"
"""The list of a pipeline whose partitions stand in a file, and what brings its values: no commit
does."""

_ESCAPED: Final = {"%": "%25", ",": "%2C", "=": "%3D"}


class Found(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A value of a list as a record has it. There may be a hundred thousand in a commit, so that
    its JSON is an array.

    Attributes:
        list: the list.
        value: the value.
        carried: the values that go with it.
        digest: of the record, so that a change of it is seen.
        pass_no: the pass that brought it, where the pipeline is read whole in each; else 0.
    """

    list: str
    value: str
    carried: tuple[str, ...]
    digest: bytes
    pass_no: int = 0

    def covered(self) -> bytes:
        """What the sum over what is remembered covers of it."""
        return msgspec.json.encode(
            (self.list, self.value, self.carried, self.digest.hex(), self.pass_no)
        )


class Standing(msgspec.Struct, frozen=True):
    """How a list stands, of what one partition of the pipeline brings.

    Attributes:
        list: the list.
        pass_no: the last pass whose values count: earlier ones have vanished.
        size: how many values it brought.
        ended: the last pass that is over.
        ended_size: how many values that one brought.
    """

    list: str
    pass_no: int = 0
    size: int = 0
    ended: int = 0
    ended_size: int = 0

    def after(self, pass_no: int, size: int) -> Standing:
        """How the list stands after a pass that brought so many values."""
        if size * 2 < self.size:
            return msgspec.structs.replace(self, ended=pass_no, ended_size=size)
        return Standing(self.list, pass_no, size, pass_no, size)

    @property
    def doubtful(self) -> bool:
        """Whether the last pass brought so few values that they do not count."""
        return self.ended != self.pass_no


class Child(msgspec.Struct, frozen=True, gc=False):
    """A value of a list as the log has it.

    Attributes:
        number: grows with each value that is new, or that comes back.
        changed: grows with each value whose record is new, or another one.
        there: it has not vanished.
        in_last: the last pass that is over, or a later one, brought it.
    """

    value: str
    carried: tuple[str, ...]
    digest: bytes
    number: int
    changed: int
    there: bool
    in_last: bool


class Wanted(msgspec.Struct, frozen=True):
    """What a pipeline looks for in the records of another one.

    Attributes:
        field: has the values.
        carry: other fields that go with them.
        by: the pipeline that looks for them.
    """

    field: str
    carry: tuple[str, ...]
    by: str

    @property
    def list(self) -> str:
        """The name of the list that it reads."""
        return list_of(self.field, self.carry)


def list_of(field: str, carry: Sequence[str]) -> str:
    """The name of a list, by what it is made of."""
    return ",".join((field, *carry))


def partition_name(values: Mapping[str, str], found: str) -> str:
    """The name of a partition, of which one value was found."""
    return ",".join(
        f"{name}={_escaped(value) if name == found else value}" for name, value in values.items()
    )


def _escaped(value: str) -> str:
    return "".join(_ESCAPED.get(each, each) for each in value)
