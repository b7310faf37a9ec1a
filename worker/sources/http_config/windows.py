"""The rules between time windows and the other keys of a source: what a window needs, and what it does itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from worker.config.types import Wrong
from worker.core.instants import MICROS
from worker.paging.marks import MarkFormat
from worker.paging.windows import Windows, resolution

if TYPE_CHECKING:
    from worker.sources.http_config.incremental import Incremental
    from worker.sources.http_config.source import HttpConfig, Path_
    from worker.sources.pagination.within import WindowKeys

_TIMES: Final = "rfc3339, epoch_s, epoch_ms, epoch_us and strptime patterns"


def check_windows(source: HttpConfig, wrong: Wrong) -> None:
    """Adds what is wrong with the windows of a source, if it has any. Where its marks go is checked with those of other styles."""
    keys, incremental = source.pagination.windows, source.incremental
    if keys is None:
        return
    at: Path_ = ("pagination",) if keys is source.pagination else ("pagination", "within")
    _check_others(source, keys, at, wrong)
    if incremental is None:
        why = "a window is a range of the incremental field, and there is no incremental: add incremental with field and initial"
        wrong.add((*at, "type"), why, "incremental")
    elif incremental.from_ is not None:
        wrong.add(
            ("incremental", "from"),
            "a window is a range of times in the records: it needs field, a token of the response has no range",
            "pagination",
        )
    elif incremental.format.record in ("int", "string"):
        why = f"a window is a range of times, which {incremental.format.record} is not; allowed are {_TIMES}"
        wrong.add(("incremental", "format", "record"), why, "pagination")
    else:
        _check_times(incremental, keys, at, wrong)


def _check_times(incremental: Incremental, keys: WindowKeys, at: Path_, wrong: Wrong) -> None:
    """The lengths, and where the first window begins, against what a parameter can say."""
    from worker.sources.pagination.within import spoken

    form = MarkFormat(incremental.format.record, incremental.format.param, incremental.format.zone)
    written = form.param or form.record
    key: Path_ = ("incremental", "format", "param" if form.param else "record")
    shortest = resolution(form)
    if shortest is None:
        wrong.add(
            key,
            f"{written!r} in {form.zone} is not read back as it is written, so no window begins where the one before ended; use year to day, or {_TIMES}",
        )
        return
    shortest_s = shortest / MICROS
    if keys.size < shortest_s:
        why = f"size is {spoken(keys.size)}, but {written!r} cannot say less than {spoken(shortest_s)}; at least that is allowed, or a finer incremental.format.param"
        wrong.add((*at, "size"), why, "format")
    if keys.step is not None and keys.step < shortest_s:
        why = f"step is {spoken(keys.step)}, but {written!r} cannot say less than {spoken(shortest_s)}; at least that is allowed, or a finer incremental.format.param"
        wrong.add((*at, "step"), why, "format")
    if incremental.newest_bound is not None:
        wrong.add(
            ("incremental", "newest_bound"),
            "newest_bound has no meaning with windows: lag says how far behind now they end; take it out",
            "pagination",
        )
    if incremental.initial is None:
        wrong.add(
            ("incremental", "initial"),
            "initial is missing: where the first window begins",
            "pagination",
        )
    elif not _begins(form, incremental.initial):
        shown = repr(incremental.initial)[:60]
        wrong.add(
            ("incremental", "initial"),
            f"initial {shown} is no time: write it as requests ({written}) or records ({form.record}) have it",
            "format",
            "pagination",
        )


def _begins(form: MarkFormat, initial: str | int) -> bool:
    """A window can begin there."""
    windows = Windows(MICROS, form)
    begin = windows.initial(initial)
    try:
        return (
            begin is not None and windows.floor(begin) <= begin and bool(MarkFormat().text(begin))
        )
    except (
        ValueError,
        OverflowError,
    ):  # beyond the years 1 to 9999: seconds where milliseconds are meant
        return False


def _check_others(source: HttpConfig, keys: WindowKeys, at: Path_, wrong: Wrong) -> None:
    """Keys that would be overwritten, never be reached, or hide what is new."""
    taken = {
        **dict.fromkeys(source.params, "params"),
        **dict.fromkeys(_params_of(source), "the pagination round the window"),
    }
    for key, target in (("start_param", keys.start), ("end_param", keys.end_)):
        if target is not None and target.param in taken:
            why = f"{target.param} is sent twice: by {taken[target.param]}, and by the window; take one of them out"
            wrong.add((*at, key), why, "params", key.replace("param", "to"), "param", "to")
    if source.conditional:
        wrong.add(
            ("conditional",),
            "conditional has no meaning with windows: each is asked for once; take it out",
            "pagination",
        )
    if keys.split_on is None:
        return
    status, place = keys.split_on.status, (*at, "split_on", "status")
    if status in source.on_status:
        wrong.add(
            place,
            f"status {status} has two meanings: split_on halves the window, on_status says {source.on_status[status]}; take one of them out",
            "on_status",
        )
    if keys.split_on.when is None and any(rule.code == status for rule in source.stop.status):
        wrong.add(
            place,
            f"status {status} has two meanings: split_on halves the window, stop.status ends its pages; tell them apart with split_on.when",
            "stop",
        )


def _params_of(source: HttpConfig) -> Iterator[str]:
    """Query parameters that the style of the pages sets."""
    style = source.pagination
    for name in ("param", "limit_param", "size_param"):
        if getattr(style, name, None):
            yield getattr(style, name)
    if (to := getattr(style, "to", None)) is not None and to.param:
        yield to.param
