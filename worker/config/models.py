"""Looks into the models: which keys a place of the config has, and which type a key below it.

For error texts and the environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from worker.config.chosen import Chosen
from worker.config.model import keys_of
from worker.config.problems import Path_
from worker.config.secrets import SecretRef, Unsent


def model_of(annotation: Any, raw: Any) -> type[BaseModel] | None:
    """The model of a value of this type; of a component, the one that `raw` names, and of several
    models the first that has most of the keys of `raw`."""
    members = _members(annotation)
    found = (each.model(raw) if isinstance(each, Chosen) else each for each in members)
    models = [each for each in found if isinstance(each, type) and issubclass(each, BaseModel)]
    given = set(raw) if isinstance(raw, dict) else set()
    return max(models, key=lambda each: len(given.intersection(keys_of(each))), default=None)


def keys_at(annotation: Any, raw: Any) -> list[str]:
    """The keys that a value of this type may have."""
    chosen = chosen_of(annotation)
    return keys_of(model_of(annotation, raw)) if chosen is None else chosen.keys(raw)


def types_below(annotation: Any) -> list[str]:
    """The values that the key `type` may have, where it names a component."""
    chosen = chosen_of(annotation)
    return [] if chosen is None else chosen.types()


def chosen_of(annotation: Any) -> Chosen | None:
    """What chooses the model of a value of this type, if it is the value."""
    return next((each for each in _members(annotation) if isinstance(each, Chosen)), None)


def annotation_below(annotation: Any, key: str | int, raw: Any) -> Any:
    """The type of the value under `key`; None when there is none.

    `raw` is the value that has the key.
    """
    if (model := model_of(annotation, raw)) is not None:
        return _field_type(model, key)
    for member in _members(annotation):
        kind, arguments = get_origin(member), get_args(member)
        if kind is dict and isinstance(key, str):
            return arguments[1]
        if kind is tuple and isinstance(key, int):
            return arguments[0]
    return None


def holds_secret(annotation: Any) -> bool:
    """Whether a value of this type may be a reference to a secret."""
    return SecretRef in _members(annotation)


def markers_of(annotation: Any, kind: Any) -> Iterator[Any]:
    """What of a kind a type is marked with, itself or as a member of a union."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from (each for each in arguments[1:] if isinstance(each, kind))
        yield from markers_of(arguments[0], kind)
    elif get_origin(annotation) in (Union, UnionType):
        for each in arguments:
            yield from markers_of(each, kind)


def secrets_of(model: BaseModel, *, unsent: bool = True) -> Iterator[tuple[Path_, str | SecretRef]]:
    """(path, secret) of every secret of a model and of what it holds: each reference, and each
    literal whose key may be a reference too.

    Args:
        unsent: also of those that no request carries as they are (`Unsent`).
    """
    for name, each in type(model).model_fields.items():
        if unsent or not any(isinstance(marker, Unsent) for marker in each.metadata):
            found = _secrets_in(getattr(model, name), each.annotation, unsent)
            key = each.alias or name
            yield from (((key, *path), secret) for path, secret in found)


def _secrets_in(
    value: Any, annotation: Any, unsent: bool
) -> Iterator[tuple[Path_, str | SecretRef]]:
    if isinstance(value, SecretRef) or (isinstance(value, str) and holds_secret(annotation)):
        yield (), value
    elif isinstance(value, BaseModel):
        yield from secrets_of(value, unsent=unsent)
    elif isinstance(value, Mapping | list | tuple):
        for key, inner in _items(value):
            below = annotation_below(annotation, key, value)
            found = _secrets_in(inner, below, unsent)
            yield from (((key, *path), secret) for path, secret in found)


def _items(value: Any) -> Iterable[tuple[str | int, Any]]:
    return value.items() if isinstance(value, Mapping) else enumerate(value)


def _field_type(model: type[BaseModel], key: str | int) -> Any:
    for name, each in model.model_fields.items():
        if key in (name, each.alias):
            return (
                Annotated[(each.annotation, *each.metadata)] if each.metadata else each.annotation
            )
    return None


def _members(annotation: Any) -> Iterator[Any]:
    """The types that a value may have, without null; a `Chosen` for a type that it marks."""
    kind, arguments = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        chosen = [each for each in arguments[1:] if isinstance(each, Chosen)]
        yield from chosen or _members(arguments[0])
    elif kind in (Union, UnionType):
        for each in arguments:
            yield from _members(each)
    elif annotation is not NoneType:
        yield annotation
