"""Checks of the merged values that no model can make: of several pipelines, and of spelling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from worker.config.merged import Merged
from worker.config.problems import Path_, Problem, did_you_mean, listed
from worker.core.urls import origin_of

_ABSENT: Final = object()


def pipelines_of(merged: Merged) -> list[tuple[str, Any]]:
    """(name, raw values) of every pipeline."""
    pipelines = merged.values.get("pipelines")
    return list(pipelines.items()) if isinstance(pipelines, dict) else []


def conflicting(merged: Merged) -> Iterator[Problem]:
    """What pipelines of one origin share, and have set in two ways: the first one's would count."""
    yield from _differing(
        merged,
        "rate_limit",
        lambda source: _below(source, ("auth",)),
        "pipelines {} and {} read from one origin with one credential, but have two rate limits",
        "define the origin once, under `origins:`, with its rate_limit, and use source.origin",
    )
    yield from _differing(
        merged,
        "breaker",
        lambda source: None,
        "pipelines {0} and {1} share the breaker of their origin, which {0} sets: it comes first",
        "write it under defaults.source.breaker, or the same in both",
        absent_too=False,
    )


def _differing(
    merged: Merged,
    key: str,
    shares: Callable[[Any], Any],
    found: str,
    remedy: str,
    *,
    absent_too: bool = True,
) -> Iterator[Problem]:
    """Pipelines whose sources have an origin and what it `shares` in common, and two values.

    Args:
        absent_too: a later pipeline without a value differs too.
    """
    first: dict[str, tuple[str, Any]] = {}
    for name, pipeline in pipelines_of(merged):
        source = _below(pipeline, ("source",))
        url, value = _below(source, ("url",)), _below(source, (key,))
        if not isinstance(url, str):
            continue
        place = repr((_origin(url), shares(source)))
        other, before = first.setdefault(place, (name, value))
        if before != value and (absent_too or value is not _ABSENT):
            at = "url" if value is _ABSENT else key
            yield Problem(
                "conflict",
                merged.place(("pipelines", name, "source", at)),
                found.format(other, name),
                remedy=remedy,
            )


def misled(merged: Merged) -> Iterator[Problem]:
    """Partitions that would be found in a pipeline that there is not, or in a circle."""
    parents = {
        name: (partition, parent)
        for name, pipeline in pipelines_of(merged)
        for partition, parent in _found_in(pipeline)
    }
    names = [name for name, _ in pipelines_of(merged)]
    for name, (partition, parent) in parents.items():
        place = merged.place(("pipelines", name, "source", "partitions", partition, "pipeline"))
        if parent not in names:
            hint = did_you_mean(parent, names)
            yield Problem(
                "not_allowed",
                place,
                f"there is no pipeline {parent!r}",
                remedy=hint or listed(names),
            )
        elif name in (circle := _ancestors(name, parents)):
            yield Problem(
                "conflict",
                place,
                f"pipelines find their partitions in each other, in a circle: "
                f"{' in '.join((name, *circle))}",
                remedy="name a pipeline whose partitions are listed",
            )


def _found_in(pipeline: Any) -> Iterator[tuple[str, str]]:
    """(partition, pipeline) of every partition that is found in a pipeline."""
    partitions = _below(pipeline, ("source", "partitions"))
    for name, values in partitions.items() if isinstance(partitions, dict) else ():
        parent = values.get("pipeline") if isinstance(values, dict) else None
        if isinstance(parent, str):
            yield name, parent


def _ancestors(name: str, parents: Mapping[str, tuple[str, str]]) -> list[str]:
    """The pipelines that stand above one, the nearest first, each once."""
    found: list[str] = []
    while name in parents and (above := parents[name][1]) not in found:
        found.append(name := above)
    return found


def misprinted(merged: Merged) -> Iterator[Problem]:
    """Numbers that would be sent otherwise than they are written.

    `params: {v: 2.10}` would ask for 2.1.
    """
    for name, pipeline in pipelines_of(merged):
        for section in ("params", "partitions"):
            path: Path_ = ("source", section)
            for at, number in _numbers(_below(pipeline, path), ("pipelines", name, *path)):
                if (text := merged.as_written(at)) is not None:
                    yield Problem(
                        "not_allowed",
                        merged.place(at),
                        f"{text} would be sent as {number}",
                        remedy="write it in quotes",
                    )


def _origin(url: str) -> str:
    """The origin of a URL; the text where it is none, which its model refuses."""
    try:
        return origin_of(url)
    except ValueError:
        return url


def _numbers(values: Any, path: Path_) -> Iterator[tuple[Path_, float]]:
    """(path, number) of every number in a tree of values."""
    if isinstance(values, int | float):
        yield path, values
    items = values.items() if isinstance(values, dict) else ()
    for key, value in enumerate(values) if isinstance(values, list) else items:
        yield from _numbers(value, (*path, key))


def _below(values: Any, path: Path_) -> Any:
    """A raw value, _ABSENT when it is not there."""
    for part in path:
        values = values.get(part, _ABSENT) if isinstance(values, dict) else _ABSENT
    return values
