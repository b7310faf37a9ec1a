"""JSON streams: bodies of JSON values one behind the other, with or without white space between
them, and JSON text sequences (RFC 7464), in which each begins with a record separator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

from pydantic import Field

from worker.core.errors import BadBody
from worker.core.ports import SLICE_RECORDS, Steps
from worker.formats.component import DecodeDeps
from worker.formats.json_encoding import JsonDecode
from worker.formats.json_split import split_values
from worker.formats.json_values import ValuePages, is_json
from worker.formats.records import Batch

SEPARATOR: Final = b"\x1e"
"""It stands in no JSON text: there it is written as \\u001e."""
SLICE_BYTES: Final = 1024 * 1024


class Decode(JsonDecode):
    """Bodies of JSON values one behind the other: records, or what holds some at
    `source.records`."""

    type: Literal["json_stream"] = Field(description="format of a page")


def pages(config: Decode, deps: DecodeDeps) -> JsonStreamPages:
    return JsonStreamPages(deps.spec, deps.plan, prefix=config.prefix)


class JsonStreamPages(ValuePages):
    """Decodes the pages of one pipeline: JSON values one behind the other."""

    where = "a value"

    def _add(self, batch: Batch, body: Any, start: int) -> Steps[None]:
        if (first := body.find(SEPARATOR, start)) >= 0 and not body[start:first].strip():
            places = yield from _separated(body, first)
        else:
            places = yield from split_values(body, start)
        _refuse_cut(body, places)
        for run in _runs(places):
            yield from self._values.add(batch, [bytes(body[at:end]) for at, end in run])
            yield


def _separated(body: Any, start: int) -> Steps[Sequence[int]]:
    """Where texts begin and end, each behind a separator; empty ones are left out."""
    places: list[int] = []
    while start < len(body):
        end = body.find(SEPARATOR, start + 1)
        end = len(body) if end < 0 else end
        if bytes(body[start + 1 : end]).strip():
            places += (start + 1, end)
        start = end
        if len(places) % (2 * SLICE_RECORDS) == 0:
            yield
    return places


def _refuse_cut(body: Any, places: Sequence[int]) -> None:
    """Raises BadBody for a body that was cut: only its last value can tell."""
    if places and not is_json(bytes(body[places[-2] : places[-1]])):
        raise BadBody("the body was cut: its last value is no JSON")


def _runs(places: Sequence[int]) -> Iterator[list[tuple[int, int]]]:
    """The places of values that are decoded in one step."""
    run: list[tuple[int, int]] = []
    for begin, end in zip(places[::2], places[1::2], strict=True):
        run.append((begin, end))
        if len(run) == SLICE_RECORDS or end - run[0][0] > SLICE_BYTES:
            yield run
            run = []
    if run:
        yield run
