"""Checks of the merged values that no model can make: of several pipelines, and of spelling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from worker.config.merged import Merged
from worker.config.problems import Path_, Problem
from worker.core.urls import origin_of

_ABSENT: Final = object()


def pipelines_of(merged: Merged) -> list[tuple[str, Any]]:
    """(name, raw values) of every pipeline."""
    pipelines = merged.values.get("pipelines")
    return list(pipelines.items()) if isinstance(pipelines, dict) else []


def conflicting(merged: Merged) -> Iterator[Problem]:
    """Rate limits of pipelines that share a gate, because they share an origin and a credential."""
    first: dict[str, tuple[str, Any]] = {}
    for name, pipeline in pipelines_of(merged):
        url, limit = _below(pipeline, ("source", "url")), _below(pipeline, ("source", "rate_limit"))
        if not isinstance(url, str):
            continue
        key = repr((_origin(url), _below(pipeline, ("source", "auth"))))
        other, before = first.setdefault(key, (name, limit))
        if before != limit:
            at = "url" if limit is _ABSENT else "rate_limit"
            yield Problem(
                "conflict",
                merged.place(("pipelines", name, "source", at)),
                (
                    f"pipelines {other} and {name} read from one origin with one credential, but "
                    "have two rate limits"
                ),
                remedy=(
                    "define the origin once, under `origins:`, with its rate_limit, and use "
                    "source.origin"
                ),
            )


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
