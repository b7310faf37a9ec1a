"""Avro datums -> plain values, read with their own schema or resolved to another one. Each pair of
schemas has one generated function, which reader_code.py makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from worker.schema.compat import problems
from worker.schema.defaults import default_datum
from worker.schema.encoding import compile_datum_encoder
from worker.schema.errors import CorruptDatum, SchemaError
from worker.schema.limits import Limits
from worker.schema.model import Field, Schema
from worker.schema.primitives import Unresolved
from worker.schema.reader_code import ReaderCode, Stop
from worker.schema.scalar_code import ReadOptions
from worker.schema.walk import explain


class DatumReader:
    """Reads datums of `writer` as values of `reader`, by default the same schema.

    Records become dicts, times whole numbers in their unit, decimals `Decimal`, uuids text, and
    bytes and durations `bytes`.

    Args:
        text: times and durations become text as people write it, NaN and infinities too.
        branches: values of unions with several branches besides null become `Branch`es, so that
            they can be encoded again.
        strict: what JSON records cannot have is refused here too: NaN and infinities, and texts
            that are no uuid where one belongs.

    Attributes:
        smallest: the fewest bytes that a datum takes.
        weight: what a datum counts as an item; see Sizes.

    Raises:
        SchemaError: no datum of `writer` can be read as `reader`.
    """

    def __init__(
        self,
        writer: Schema,
        reader: Schema | None = None,
        *,
        limits: Limits | None = None,
        text: bool = False,
        branches: bool = False,
        strict: bool = False,
    ) -> None:
        self.writer, self.reader, self.limits = writer, reader or writer, limits or Limits()
        self._options = ReadOptions(text, branches, strict)
        try:
            if reader is not None:
                _require_readable(writer, reader)
            code = ReaderCode(writer, self.reader, self.limits, self._options, self._default)
            self._read = code.compile()
            self.smallest = code.sizes.smallest(writer.root)
            self.weight = code.sizes.item(writer.root)
        except RecursionError as error:
            raise SchemaError("$", "types refer to each other too deeply") from error

    def _default(self, field: Field) -> Callable[[], Any]:
        """Makes the default of a field that the writer lacks. It is read from its encoding, so that
        it looks like every other value."""
        schema = Schema(self.reader.resolve(field.type), self.reader.named, "")
        data = compile_datum_encoder(schema)(default_datum(field.type, field.default, schema))
        text, branches, _ = self._options
        read = DatumReader(schema, limits=self.limits, text=text, branches=branches)
        return partial(read.one, data)

    def one(self, data: bytes, start: int = 0) -> Any:
        """The datum from `start` to the end of the data.

        Raises:
            CorruptDatum: the bytes are no datum, or there are more of them.
        """
        found, end, problem = self.several(data, start, 1, [0, 0, self.limits.empty])
        if problem is not None:
            raise problem
        if end != len(data):
            raise CorruptDatum("$", end, f"{len(data) - end} bytes follow the datum")
        return found[0]

    def several(
        self, data: bytes, start: int, rows: int, left: list[int]
    ) -> tuple[list[Any], int, CorruptDatum | None]:
        """Up to `rows` datums from `start` on, fewer when they are large.

        Args:
            left: its third item is how many values may still come in records and items that take no
                bytes. It is counted down. The first two items are scratch space.

        Returns:
            The values, where the next datum begins, and what is wrong with that one if it stopped
            the reading.
        """
        out: list[Any] = []
        empty = left[2]
        try:
            end = self._read(data, start, len(data), rows, left, out)
        except Stop as stop:
            return out, stop.at, self._problem(data, stop, len(out), empty)
        return out, end, None

    def all(self, data: bytes, rows: int, left: list[int]) -> Iterator[list[Any]]:
        """Exactly `rows` datums that fill the data, in slices.

        Args:
            left: see `several`.

        Raises:
            CorruptDatum: the data is something else; after the good datums before the damage.
        """
        at = done = 0
        if self.smallest == 0:
            left[2] -= rows * self.weight
        if rows * self.smallest > len(data) or left[2] < 0:
            raise CorruptDatum(
                "$", 0, f"{rows} records in {len(data)} bytes, each has at least {self.smallest}"
            )
        while done < rows:
            found, at, problem = self.several(data, at, rows - done, left)
            if found:
                yield found
            done += len(found)
            if problem is not None:
                problem.record = done
                raise problem
        if at != len(data):
            raise CorruptDatum(
                "$", at, f"{len(data) - at} bytes follow the last of {rows} records", record=rows
            )

    def _problem(self, data: bytes, stop: Stop, record: int, empty: int) -> CorruptDatum:
        """What is wrong with the datum that stopped the generated code."""
        cause = stop.__cause__
        assert cause is not None
        try:
            explain(data, stop.at, self.writer, self.limits, empty)
        except CorruptDatum as error:
            problem = error
        else:  # it is valid, but it has no value in the reader's schema
            path = cause.path if isinstance(cause, Unresolved) else "$"
            problem = CorruptDatum(path, stop.at, str(cause)[:200] or type(cause).__name__)
        problem.record, problem.__cause__ = record, cause
        return problem


def _require_readable(writer: Schema, reader: Schema) -> None:
    """Raises SchemaError when no datum of the writer's schema can be read."""
    for each in problems(writer, reader):
        if not each.some:
            raise SchemaError(
                each.path,
                f"{each.message}: data of the writer's schema cannot be read as the reader's",
            )
