"""Looks into the models: which keys a place of the config has, and which type a key below it.

For error texts and the environment.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from worker.config.chosen import Chosen
from worker.config.model import keys_of
from worker.config.secrets import SecretRef


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


def secrets_of(model: BaseModel) -> Iterator[tuple[str, str | SecretRef]]:
    """(key, secret) of every secret of a model, literals and references."""
    for name, each in type(model).model_fields.items():
        if holds_secret(each.annotation) and (secret := getattr(model, name)) is not None:
            yield each.alias or name, secret


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
