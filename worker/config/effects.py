"""Keys that have no effect where they stand.

Whoever wrote one believes otherwise, so it is an error. A model says in its table `effects` when
each of its keys counts. What counts is asked of the model alone, and only for keys that somebody
wrote at their place: what `defaults` or an origin adds is meant for other pipelines too. Values are
not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from worker.config.merged import Merged
from worker.config.problems import Path_, Problem, shown

_ANY = "*"


@dataclass(frozen=True, slots=True)
class Effect:
    """When a key of a model has an effect.

    Attributes:
        key: the path below the model, like `stop.short_page`; `*` stands for every key or item.
        counts: whether it has an effect, of the model and whatever `*` stands for.
        why: why it has none where it does not count; `{0}` is whatever the first `*` stands for.
        where: where it would count.
    """

    key: str
    counts: Callable[..., bool]
    why: str
    where: str


def without_effect(merged: Merged, model: BaseModel, path: Path_ = ()) -> Iterator[Problem]:
    """What was written below a path, whose values made the model, and has no effect there."""
    for effect in getattr(type(model), "effects", ()):
        for at, stars in _written(merged.at(path), tuple(effect.key.split("."))):
            place = (*path, *at)
            if merged.is_written(place) and not effect.counts(model, *stars):
                yield Problem(
                    "no_effect",
                    merged.place(place),
                    f"{shown(at)} has no effect here: {effect.why.format(*stars)}",
                    effect.where.format(*stars),
                    "take it out",
                )
    for key, below in _models_in(model):
        yield from without_effect(merged, below, (*path, *key))


def _written(raw: Any, pattern: tuple[str, ...]) -> Iterator[tuple[Path_, tuple[Any, ...]]]:
    """(path, what `*` stands for) of every raw value that a pattern fits."""
    if not pattern:
        yield (), ()
        return
    head, rest = pattern[0], pattern[1:]
    items = dict(enumerate(raw)) if isinstance(raw, list) else raw if isinstance(raw, dict) else {}
    for key in items if head == _ANY else [head]:
        if key in items:
            for path, stars in _written(items[key], rest):
                yield (key, *path), ((key, *stars) if head == _ANY else stars)


def _models_in(model: BaseModel) -> Iterator[tuple[Path_, BaseModel]]:
    """The models that are values of a model, or stand in its lists and mappings."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        key = field.alias or name
        if isinstance(value, BaseModel):
            yield (key,), value
        elif isinstance(value, dict):
            yield from (
                ((key, inner), each) for inner, each in value.items() if isinstance(each, BaseModel)
            )
        elif isinstance(value, list | tuple):
            yield from (
                ((key, number, *_step_key(each)), _step_model(each))
                for number, each in enumerate(value)
                if isinstance(_step_model(each), BaseModel)
            )


def _step_model(item: Any) -> Any:
    """An item of a list; of a transform, which is a verb and its config, the config."""
    return getattr(item, "config", item)


def _step_key(item: Any) -> Path_:
    return (item.verb,) if hasattr(item, "verb") else ()
