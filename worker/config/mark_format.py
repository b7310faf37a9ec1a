"""One format for one field: what `decode.times` and `decode.time_zone` say of the incremental field
is written into `source.incremental.format`, before the config is validated."""

from __future__ import annotations

from typing import Any

from worker.config.model import Issues
from worker.core.errors import ConfigError
from worker.core.jsonpath import plain_keys
from worker.core.written_times import USUAL


def with_mark_format(raw: Any) -> Any:
    """The raw values of a pipeline, with the format of its incremental field in one place.

    Values of a wrong type stay as they are: their validation says what is wrong with them. Raises
    ValidationError where the field has two formats.
    """
    decode, source = _below(raw, "decode"), _below(raw, "source")
    incremental, times = _below(source, "incremental"), _below(decode, "times")
    field = incremental.get("field")
    if not decode or not isinstance(field, str) or "from" in incremental:
        return raw
    form = dict(_below(incremental, "format"))
    path = next((each for each in times if _same(each, field)), None)
    if path is not None:
        _refuse_two(path, form)
        form["record"] = times[path]
    if decode.get("time_zone") and _in_zone(form):
        form.setdefault("zone", decode["time_zone"])
    return raw | {"source": source | {"incremental": incremental | {"format": form}}}


def _below(raw: Any, key: str) -> dict[str, Any]:
    found = raw.get(key) if isinstance(raw, dict) else None
    return found if isinstance(found, dict) else {}


def _same(one: Any, other: str) -> bool:
    """Whether two paths lead to the same field."""
    try:
        return isinstance(one, str) and plain_keys(one) == plain_keys(other) is not None
    except ConfigError:
        return False


def _in_zone(form: dict[str, Any]) -> bool:
    """Whether a time zone counts for what the mark is read from, or made into."""
    record, param = str(form.get("record", USUAL)), str(form.get("param", ""))
    return record == USUAL or "%" in record or "%" in param


def _refuse_two(path: str, form: dict[str, Any]) -> None:
    if "record" in form:
        issues = Issues()
        issues.add(
            ("decode", "times", path),
            f"{path} has two formats: {form['record']!r} in source.incremental.format.record, "
            "and this one",
            remedy="take one of them out; either counts for the mark and for the value in files",
        )
        issues.check()
