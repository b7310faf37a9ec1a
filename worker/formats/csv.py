"""CSV (RFC 4180): rows of text, with the names of their columns in a header or in the config.

Rows become JSON objects, slice by slice, and go the way of JSON records from there: their texts are
read as the schema says, and a row that does not fit is a dead letter that a replay reads.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from worker.config.model import Issues, Model, unfit
from worker.core.errors import BadBody, ConfigError
from worker.core.jsonpath import plain_keys
from worker.core.model import Decoded, FieldError
from worker.core.ports import SLICE_RECORDS, Plan, Steps
from worker.formats.component import BOM, DecodeDeps
from worker.formats.records import Batch, RecordDecoder, RecordSpec
from worker.formats.text_values import TextValueKeys
from worker.formats.weight import CsvWeight

SLICE_BYTES: Final = 1024 * 1024
SLICE_VALUES: Final = 20_000
"""Most values that are objects of their own before they are records."""
NO_HEADER: Final = "where the body has no header write decode.csv: {header: none, names: [...]}"
SHOWN_NAMES: Final = 12
_encode: Final = msgspec.json.encode
_ROWS: Final = msgspec.json.Decoder(list[list[str]])


def _one_sign(sign: str) -> str:
    if len(sign) != 1 or sign in "\r\n\0":
        raise unfit(
            f"{sign!r} is no sign that can separate or enclose values",
            allowed='one character is allowed, like "," ";" "|" or "\\t" for a tab',
            remedy="write the character that the source uses",
        )
    return sign


Sign = Annotated[str, AfterValidator(_one_sign)]


class CsvKeys(Model):
    """How rows are written."""

    delimiter: Sign = Field(",", description='between two values; "\\t" is a tab')
    quote: Annotated[Sign | None, BeforeValidator(lambda value: value or None)] = Field(
        '"', description="round values, doubled within them; null: there is none"
    )
    header: Literal["first", "each", "none"] = Field(
        "first",
        description=(
            "where the names of columns stand: first: in the first row of a pass, and where later "
            "pages repeat them; each: in the first row of each page; none: in `names`"
        ),
    )
    names: tuple[str, ...] = Field(
        (), description="names of the columns, where no header has them; empty: is left out"
    )

    @model_validator(mode="after")
    def _consistent(self) -> CsvKeys:
        issues = Issues()
        if self.quote == self.delimiter:
            issues.add(("quote",), f"quote and delimiter are both {self.quote!r}", "delimiter")
        if (self.header == "none") != bool(self.names):
            issues.add(
                ("names",),
                "names and header: none go together",
                "header",
                remedy="write header: none and names: [...], or take both out where the body has "
                "a header",
            )
        if (twice := _repeated(self.names)) is not None:
            issues.add(("names",), f"two columns are called {twice!r}")
        issues.check()
        return self


class Decode(TextValueKeys):
    """Bodies of rows whose values are text."""

    one_record: ClassVar[str] = "each row is one"

    type: Literal["csv"] = Field(description="format of a page")
    csv: CsvKeys = Field(default_factory=CsvKeys, description="how rows are written")

    @property
    def needs_first_page(self) -> bool:
        return self.csv.header == "first"


def pages(config: Decode, deps: DecodeDeps) -> CsvPages:
    """Raises ConfigError for what CSV bodies do not have."""
    if deps.spec.body_paths:
        paths = ", ".join(dict.fromkeys(deps.spec.body_paths))
        raise ConfigError(
            f"decode: a CSV body has nothing but rows, so nothing is at {paths}",
            remedy="take it from a header, or from the last record",
        )
    for path in deps.spec.record.paths:
        if not plain_keys(path):
            raise ConfigError(
                f"source: {path!r} is more than the name of a column",
                remedy="with decode.type csv write the name alone",
            )
    return CsvPages(config.csv, deps.spec.record, deps.plan)


class CsvPages:
    """Decodes the pages of one pipeline (the `HeadedPages` port).

    Args:
        columns: the names of columns that the first page of the pass had; empty where a page has
            them itself.
    """

    def __init__(
        self, keys: CsvKeys, spec: RecordSpec, plan: Plan, *, columns: tuple[str, ...] = ()
    ) -> None:
        self._keys, self._spec, self._plan = keys, spec, plan
        self._columns = keys.names or columns
        self._records = RecordDecoder(spec, plan)
        self._weight = CsvWeight(plan.record_type, keys.delimiter.encode())
        # a limit of the whole process: a quote that is never closed would take the whole body
        csv.field_size_limit(max(csv.field_size_limit(), spec.record_bytes))

    def behind(self, columns: tuple[str, ...]) -> CsvPages:
        """See `HeadedPages`."""
        if self._keys.header != "first":
            return self
        return CsvPages(self._keys, self._spec, self._plan, columns=columns)

    def weigh(self, body: Any) -> int:
        """Bytes that the body and the decoded page will take together."""
        return self._weight(body)

    def decode(self, body: Any, *, url: str = "", received_us: int = 0) -> Steps[Decoded]:
        """Decodes one page, slice by slice; an empty body is an empty page.

        Raises BadBody for what is no CSV, was cut, or has no column of the schema.
        """
        batch, reader = Batch(), self._reader(body)
        try:
            columns = yield from self._read(batch, reader)
        except csv.Error as error:
            raise BadBody(f"the body is no CSV: line {reader.line_num}: {error}") from error
        except UnicodeDecodeError as error:
            raise BadBody(
                f"the body is no text in UTF-8: {error.reason}",
                remedy="name the character set that it is written in: decode.charset",
            ) from error
        decoded = self._records.complete(batch, {})
        facts = decoded.facts
        facts.size_bytes, facts.url, facts.received_us = len(body), url, received_us
        facts.columns = columns if self._keys.header == "first" else ()
        return decoded

    def _reader(self, body: Any) -> Any:
        quote = self._keys.quote
        return csv.reader(
            _lines(body),
            strict=True,
            delimiter=self._keys.delimiter,
            quotechar=quote,
            quoting=csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL,
        )

    def _read(self, batch: Batch, reader: Any) -> Steps[tuple[str, ...]]:
        """Adds all rows; returns the columns, which are empty where there is no row."""
        first = next(filter(None, reader), None)
        if first is None:
            return self._columns
        columns = self._columns or self._named(first)
        line = reader.line_num
        if columns is self._columns and _names(first) != columns:
            yield from self._add(batch, columns, [first], line - _line_breaks(first) - 1)
        size = max(min(SLICE_RECORDS, SLICE_VALUES // max(len(columns), 1)), 1)
        while rows := list(islice(reader, size)):
            yield from self._add(batch, columns, rows, line)
            line = reader.line_num
            yield
        return columns

    def _named(self, row: Sequence[str]) -> tuple[str, ...]:
        """The columns that a header names. Raises BadBody for a row that is none."""
        names, known = _names(row), self._spec.json_names
        if (twice := _repeated(names)) is not None:
            raise BadBody(
                f"two columns are called {twice!r}",
                remedy=NO_HEADER,
            )
        if known and known.isdisjoint(names):
            shown = ", ".join(map(repr, names[:SHOWN_NAMES]))
            raise BadBody(
                f"the header has no column of the schema; its columns are {shown}",
                remedy="correct decode.csv.delimiter, or the names in the schema; " + NO_HEADER,
            )
        return names

    def _add(
        self, batch: Batch, columns: tuple[str, ...], rows: list[list[str]], line: int
    ) -> Steps[None]:
        """Adds rows, the first of which begins in the line after this one."""
        rejects, base = len(batch.rejects), batch.count
        if set(map(len, rows)) == {len(columns)}:
            yield from self._add_whole(batch, columns, rows)
        else:
            for fits, run in groupby(filter(None, rows), lambda row: len(row) == len(columns)):
                if fits:
                    yield from self._add_whole(batch, columns, list(run))
                    continue
                for row in run:
                    error = FieldError(
                        "$", f"a row of {len(row)} values", f"{len(columns)}, as many as columns"
                    )
                    raw = _encode(row)
                    batch.add_source(lambda raw=raw: [raw])  # type: ignore[misc]
                    self._records.refuse(batch, raw, "wrong_columns", (error,))
                    yield
        if len(batch.rejects) > rejects:
            lines = list(_first_lines(rows, line))
            batch.rejects[rejects:] = [
                replace(each, line=lines[each.index - base]) for each in batch.rejects[rejects:]
            ]

    def _add_whole(
        self, batch: Batch, columns: tuple[str, ...], rows: list[list[str]]
    ) -> Steps[None]:
        """Adds rows that have a value for each column."""
        written = _encode(rows)  # a third of what the objects take, which are made again if needed
        yield from self._records.add_array(
            batch,
            _encode(_objects(columns, rows)),
            lambda: [_encode(each) for each in _objects(columns, _ROWS.decode(written))],
        )


def _objects(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    found = [dict(zip(columns, row)) for row in rows]  # noqa: B905  # lengths are equal here
    if "" in columns:
        for each in found:
            del each[""]
    return found


def _names(row: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(str.strip, row))


def _repeated(names: Sequence[str]) -> str | None:
    """The first name that stands twice; columns without one are left out."""
    return next((each for each in names if each and names.count(each) > 1), None)


def _line_breaks(row: Sequence[str]) -> int:
    """How many line breaks stand within the values of a row."""
    return sum(each.count("\n") + each.count("\r") - each.count("\r\n") for each in row)


def _first_lines(rows: Sequence[Sequence[str]], line: int) -> Iterator[int]:
    """The lines in which rows begin, the first one behind this line; blank lines are no rows."""
    for row in rows:
        if row:
            yield line + 1
        line += 1 + _line_breaks(row)


def _lines(body: Any) -> Iterator[str]:
    """The lines of a body with their ends. Raises UnicodeDecodeError."""
    start = len(BOM) if body[: len(BOM)] == BOM else 0
    while start < len(body):
        found = body.find(b"\n", min(start + SLICE_BYTES, len(body)))
        end = len(body) if found < 0 else found + 1
        yield from io.StringIO(bytes(body[start:end]).decode(), newline="")
        start = end
