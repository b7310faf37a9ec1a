"""How the source writes values (`decode.times`, `null_values`), held against the schema, and what
`source.incremental.format` says of its field beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from worker.config.problems import did_you_mean, listed
from worker.core.collect import Collector
from worker.core.errors import ConfigError
from worker.core.jsonpath import names_in, plain_keys
from worker.core.written_times import EPOCHS, JSON_DATE, USUAL, pattern_problem, says_zone
from worker.schema import Schema
from worker.schema.logical import TIME_RANGES
from worker.schema.model import Type
from worker.schema.spellings import AS_USUAL, Keys, Spellings, TimeForm
from worker.schema.time_checks import family_of
from worker.settings import PipelineSettings
from worker.sources.incremental import Incremental


def spellings_of(config: PipelineSettings, schema: Schema, found: Collector) -> Spellings:
    """How the values of a pipeline are written.

    Raises ConfigError into `found` for a path that is no field of the schema, or of another type.
    """
    if not config.decode.spelled:
        return AS_USUAL
    spellings, incremental = config.decode.spellings, config.source.incremental
    if incremental is not None:
        of_mark = _of_mark(incremental, schema)
        spellings = replace(spellings, times={**spellings.times, **of_mark})
        if not of_mark and not config.decode.tagged:
            with found.part("source.incremental.format.record"):
                _check_mark(incremental, schema, spellings.times)
    for keys, how in spellings.times.items():
        with found.part(f"decode.times.{'.'.join(keys)}"):
            _check_time(_leaves_at(schema, keys), keys, how)
    for keys in spellings.named_nulls:
        with found.part(f"decode.null_values.{'.'.join(keys)}"):
            _check_null(_leaves_at(schema, keys), keys)
    return spellings


def _of_mark(incremental: Incremental, schema: Schema) -> dict[Keys, TimeForm]:
    """How the times of the incremental field are written, so that its values in files are the
    marks; nothing where marks are no times, or where the field is none."""
    keys = plain_keys(incremental.field) if incremental.field and incremental.timed else None
    how = _form_of_mark(incremental)
    try:
        leaves = _leaves_at(schema, keys) if keys else []
    except ConfigError:  # it need not be in the schema
        return {}
    families = {family_of(each.logical or "") for each in leaves if each.logical in TIME_RANGES}
    if not keys or not families or any(_misfit(each, how) for each in families):
        return {}
    return {keys: how}


def _form_of_mark(incremental: Incremental) -> TimeForm:
    marks = incremental.format.marks
    return TimeForm(marks.record, marks.zone if marks.assumed or marks.record != USUAL else "")


def _check_mark(incremental: Incremental, schema: Schema, named: Mapping[Keys, TimeForm]) -> None:
    """Raises ConfigError where the mark may come from a time whose value in files would have
    another meaning: its path is not that of a field, so the format of marks does not count there.
    """
    how = _form_of_mark(incremental)
    if not (incremental.field and incremental.timed) or how.form == USUAL:
        return
    other = [
        ".".join(keys)
        for keys, leaves in _reached(schema, incremental.field)
        if keys not in named and any(_differs(each, how) for each in leaves)
    ]
    if other:
        fields = ", ".join(dict.fromkeys(other))
        raise ConfigError(
            f"{how.form} counts for the mark alone: {incremental.field!r} is not the path of one "
            f"field, and {fields} of the schema would be read in another way",
            remedy=f"say in decode.times how they are written: {fields}",
        )


def _differs(kind: Type, how: TimeForm) -> bool:
    """Whether a time could be written in a form that is not how its type is read."""
    if kind.logical not in TIME_RANGES or _misfit(family_of(kind.logical), how):
        return False
    return _NUMBERS.get(kind.logical.rpartition("-")[2]) != how.form


_NUMBERS: Final = {"millis": "epoch_ms", "micros": "epoch_us", "nanos": "epoch_ns"}
"""How times are read from numbers where nothing else is said."""


def _reached(schema: Schema, path: str) -> Iterator[tuple[Keys, list[Type]]]:
    """The fields that a path may lead to besides the one that it names, with their types."""
    keys = plain_keys(path)
    if keys is None:
        yield from _fields(schema, schema.root, names_in(path))
        return
    try:
        _leaves_at(schema, keys)
    except ConfigError:  # the keys of a map are in no schema
        for each in _fields(schema, schema.root, frozenset(keys)):
            if each[0][0] == keys[0]:
                yield each


def _fields(
    schema: Schema,
    kind: Type,
    names: frozenset[str] | None,
    above: tuple[tuple[str, str], ...] = (),
) -> Iterator[tuple[Keys, list[Type]]]:
    """The fields below a type that have one of the names, on all levels; None for any names.

    Args:
        above: the records on the way, and their fields.
    """
    for record in _leaves(schema, kind):
        if any(record.name == name for name, _ in above):
            continue
        for each in record.fields:
            if names is None or each.json_name in names:
                way = (*above, (record.name, each.json_name))
                yield tuple(key for _, key in way), list(_leaves(schema, each.type))
                yield from _fields(schema, each.type, names, way)


def _check_time(leaves: list[Type], keys: Keys, how: TimeForm) -> None:
    families = {family_of(each.logical or "") for each in leaves if each.logical in TIME_RANGES}
    if not families:
        kinds = ", ".join(dict.fromkeys(each.logical or each.kind for each in leaves))
        raise ConfigError(
            f"{'.'.join(keys)} is no time in the schema, but {kinds}",
            remedy="take it out, or give the field a logical type: "
            f"{', '.join(sorted(TIME_RANGES))}",
        )
    for family in families:
        if problem := _misfit(family, how):
            raise ConfigError(f"{'.'.join(keys)} is a {family}: {problem[0]}", remedy=problem[1])


def _misfit(family: str, how: TimeForm) -> tuple[str, str] | None:
    """Why no value of a format is a time of a family, and what to do."""
    form, counted = how.form, how.form in EPOCHS or how.form == JSON_DATE
    if family == "time" and counted:
        return f"{form} is an instant and no time of a day", "write a strptime pattern, like %H:%M"
    if family == "local-timestamp" and says_zone(form) and form not in EPOCHS:
        return f"{form} has a zone, which its values lack", "make it a timestamp in the schema"
    return None if counted or form == USUAL else _misfit_of_pattern(family, how)


def _misfit_of_pattern(family: str, how: TimeForm) -> tuple[str, str] | None:
    """The same of a strptime pattern."""
    form = how.form
    if problem := pattern_problem(form, dated=family != "time", clocked=family == "time"):
        return problem, "write the pattern as the source writes its times"
    if family == "timestamp" and not says_zone(form) and not how.zone:
        return (
            f"{form} names no zone, so its times are no instants",
            "set decode.time_zone, like UTC or Europe/Berlin, or read the zone with %z",
        )
    return None


def _check_null(leaves: list[Type], keys: Keys) -> None:
    if all(each.kind != "null" for each in leaves):
        raise ConfigError(
            f"{'.'.join(keys)} is never null in the schema, so no text can mean it",
            remedy=f"take it out, or allow null: {_nullable(leaves)}",
        )


def _nullable(leaves: list[Type]) -> str:
    return f'["null", {", ".join(each.name or each.kind for each in leaves)}]'


def _leaves_at(schema: Schema, keys: Keys) -> list[Type]:
    """The types that values of a field may have, with those in its arrays and maps.

    Raises ConfigError for a name that no record on the way has.
    """
    kinds = list(_leaves(schema, schema.root))
    for key in keys:
        fields = [each for kind in kinds for each in kind.fields]
        if all(each.json_name != key for each in fields):
            names = [each.json_name for each in fields]
            hint = did_you_mean(key, names)
            raise ConfigError(
                f"{'.'.join(keys)} is no field of the schema: {key!r} is unknown",
                remedy=f"{hint + ' ' if hint else ''}{listed(names)}",
            )
        kinds = [
            leaf for each in fields if each.json_name == key for leaf in _leaves(schema, each.type)
        ]
    return kinds


def _leaves(schema: Schema, kind: Type) -> Iterator[Type]:
    """The types in a type, through arrays, maps and unions."""
    kind = schema.resolve(kind)
    if not kind.parts:
        yield kind
    for part in kind.parts:
        yield from _leaves(schema, part)
