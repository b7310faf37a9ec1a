"""Looks into the models: which keys a place of the config has, and which type a key below it. For error texts and the environment."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from worker.components import component
from worker.core.errors import ConfigError


class Chosen:
    """Marks a value whose model is in the module that a registry table names by its `type`: imported when it is used."""

    def __init__(self, table: dict[str, str], what: str) -> None:
        self.table, self.what = table, what

    def model(self, raw: Any) -> type[BaseModel]:
        """The model for a raw value; ValueError names the types there are."""
        try:
            found: type[BaseModel] = component(
                self.table, self.what, raw.get("type") if isinstance(raw, dict) else raw
            ).Config
        except ConfigError as error:
            raise ValueError(f"{error.message}; {error.remedy}") from error
        return found


def keys_of(model: Any) -> list[str]:
    """The keys of a model as they stand in a config."""
    return [each.alias or name for name, each in getattr(model, "model_fields", {}).items()]


def model_of(annotation: Any, raw: Any) -> type[BaseModel] | None:
    """The model of a value of this type; `raw` decides between several by its `type`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if (marker := _marker(annotation)) is not None:
        try:
            return marker.model(raw)
        except ValueError:
            return None
    models = [
        each
        for each in map(_plain, _members(annotation))
        if isinstance(each, type) and issubclass(each, BaseModel)
    ]
    if len(models) > 1:
        kind = raw.get("type") if isinstance(raw, dict) else None
        models = [each for each in models if kind in types_of(each)]
    return models[0] if len(models) == 1 else None


def types_of(model: Any) -> tuple[Any, ...]:
    """The values that the key `type` of a model may have."""
    each = getattr(model, "model_fields", {}).get("type")
    return (
        get_args(each.annotation)
        if each is not None and get_origin(each.annotation) is Literal
        else ()
    )


def types_below(annotation: Any) -> list[str]:
    """The types that a value of this kind may have: of the models of a union, or of a registry table."""
    if (marker := _marker(annotation)) is not None:
        return list(marker.table)
    return [str(kind) for member in _members(annotation) for kind in types_of(_plain(member))]


def annotation_below(annotation: Any, key: str | int, raw: Any) -> Any:
    """The type of the value under `key`; None when there is none. `raw` is the value that has the key."""
    if (model := model_of(annotation, raw)) is not None:
        for name, each in model.model_fields.items():
            if key in (name, each.alias):
                return (
                    Annotated[(each.annotation, *each.metadata)]
                    if each.metadata
                    else each.annotation
                )
        return None
    for member in map(_plain, _members(annotation)):
        kind, arguments = get_origin(member), get_args(member)
        if kind is dict and isinstance(key, str):
            return arguments[1]
        if kind is tuple and isinstance(key, int):
            return arguments[0]
    return None


def _marker(annotation: Any) -> Chosen | None:
    return next(
        (each for each in getattr(annotation, "__metadata__", ()) if isinstance(each, Chosen)), None
    )


def _plain(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _members(annotation: Any) -> list[Any]:
    """The types of a union, one level down, without null."""
    annotation = _plain(annotation)
    if get_origin(annotation) in (Union, UnionType):
        return [
            inner
            for each in get_args(annotation)
            if each is not NoneType
            for inner in _members(each)
        ]
    return [annotation]
