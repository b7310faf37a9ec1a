"""What steps may ask for beside a record."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from worker.core.instants import EPOCH
from worker.core.model import FieldError
from worker.core.ports import InvalidRecord


@dataclass(frozen=True, slots=True)
class Context:
    """Where a record came from, for a function `fn(record, context)`.

    Attributes:
        pipeline: the name of the pipeline.
        partition: the values of the partition by their names, as `{partition.NAME}` has them; empty
            for a source without partitions.
        received: when the page of the record came, with a zone (UTC); in a replay, when its dead
            letter was written.
    """

    pipeline: str
    partition: Mapping[str, str]
    received: datetime


class _Values(dict[str, str]):
    """The values of a partition. A record that needs one that is not known is a reject."""

    def __missing__(self, name: str) -> str:
        found = FieldError(
            f"partition.{name}", "a partition that is not known any more", "one of the source"
        )
        raise InvalidRecord("partition_unknown", (found,), stage="transform")


@dataclass(frozen=True, slots=True)
class Contexts:
    """Makes the contexts of a pipeline.

    Attributes:
        partitions: name of a partition -> its values. It may change while the pipeline runs.
        names: the names of values that every partition has.
        envelope: the fields that records get from their page.
    """

    pipeline: str = ""
    partitions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    names: Sequence[str] = ()
    envelope: Collection[str] = ()

    def __call__(self, partition: str, received_us: int) -> Context:
        """The context of records that came from a partition at a time, microseconds since 1970.

        A partition that the config does not name any more has no values.
        """
        values = MappingProxyType(_Values(self.partitions.get(partition, {})))
        return Context(self.pipeline, values, EPOCH + timedelta(microseconds=received_us))
