"""Values whose model is that of a component, which they name: by `type`, or by their only key.

The model stands in the module of the component, and the module is imported when the config has the
name: a config imports only what it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final, NamedTuple

from pydantic import (
    BaseModel,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    create_model,
)
from pydantic_core import CoreSchema, InitErrorDetails, PydanticKnownError, core_schema

from worker.components import Kind
from worker.config.model import Model, keys_of, raise_at
from worker.core.errors import ConfigError


class Chosen:
    """Marks a type whose model depends on the value.

    `worker/config/models.py` asks it where the language is read without validating: for error texts
    and the environment.
    """

    def model(self, raw: Any) -> type[BaseModel] | None:
        """The model of a raw value; None where the value names none."""
        raise NotImplementedError

    def types(self) -> list[str]:
        """The values that the key `type` may have; none where it is no such key that chooses."""
        return []

    def keys(self, raw: Any) -> list[str]:
        """The keys that a raw value may have."""
        raise NotImplementedError

    def others_with(self, key: str, raw: Any) -> list[str]:
        """The types, besides that of the raw value, that have a key."""
        return []

    def validate(self, value: Any) -> Any:
        """What a raw value means. Raises ValidationError, or what pydantic makes one of."""
        raise NotImplementedError

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.validate)


def default_of(**keys: Any) -> Any:
    """The default of a chosen value, as it would be written in a config."""
    return keys


# -- by `type` -------------------------------------------------------------------------------------


class ByType(Chosen):
    """The model of the component that the key `type` names.

    Args:
        kind: the kind of the component.
        default: the type of a value without one; None: it is needed.
        part: the name of the model in the module of a component; components without it are not
            allowed.
        only: the types that are allowed; None: all.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        default: str | None = None,
        part: str = "Config",
        only: Sequence[str] | None = None,
    ) -> None:
        self._kind, self._default, self._part, self._only = kind, default, part, only
        self._base: type[BaseModel] = BaseModel

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        self._base = source
        return super().__get_pydantic_core_schema__(source, handler)

    def model(self, raw: Any) -> type[BaseModel] | None:
        name = raw.get("type", self._default) if isinstance(raw, dict) else self._default
        try:
            return self._model(name)
        except ConfigError:
            return None

    def types(self) -> list[str]:
        names = [name for name in self._kind.names() if self._only is None or name in self._only]
        if self._part == "Config":  # which every component of the kind has
            return names
        return [name for name in names if self._model(name) is not None]

    def keys(self, raw: Any) -> list[str]:
        return keys_of(self.model(raw))

    def others_with(self, key: str, raw: Any) -> list[str]:
        mine = self.model(raw)
        models = {name: self._model(name) for name in self.types()}
        return [name for name, each in models.items() if each is not mine and key in keys_of(each)]

    def validate(self, value: Any) -> Any:
        if isinstance(value, BaseModel) and type(value) is self._model(
            getattr(value, "type", None)
        ):
            return value
        if not isinstance(value, dict):
            raise PydanticKnownError("dict_type")
        name = value.get("type", self._default)
        if name is None and "type" not in value:
            raise PydanticKnownError("union_tag_not_found", {"discriminator": "'type'"})
        try:
            model = self._model(name)
            if model is not None and not issubclass(model, self._base):
                raise ConfigError(
                    f"{self._part} of the {self._kind.what} {name!r} is no {self._base.__name__}",
                    remedy=f"derive it from {self._base.__module__}.{self._base.__name__}",
                )
        except ConfigError as error:
            raise_at(("type",), error)
        if model is None:
            context = {"discriminator": "'type'", "tag": str(name), "expected_tags": ""}
            raise PydanticKnownError("union_tag_invalid", context)
        return model.model_validate(value)

    def _model(self, name: Any) -> type[BaseModel] | None:
        """The model of a type; None for one that there is not.

        Raises ConfigError for a package that cannot be imported.
        """
        if (self._only is not None and name not in self._only) or not self._kind.has(name):
            return None
        return getattr(self._kind.load(name), self._part, None)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"oneOf": [handler(self._definition(name)) for name in self.types()]}

    def _definition(self, name: str) -> CoreSchema:
        """The core schema of a model under a name of its own, which becomes one of the `$defs`."""
        model = self._model(name)
        assert model is not None
        whole = model.__pydantic_core_schema__
        definitions = whole["definitions"] if whole["type"] == "definitions" else []
        inner = whole["schema"] if whole["type"] == "definitions" else whole
        words = f"{self._kind.what.removesuffix(' type')}_{name}".split("_")
        ref = f"{self._kind.group}.{''.join(word.capitalize() for word in words)}:{id(model)}"
        return core_schema.definitions_schema({**inner, "ref": ref}, definitions)


_FIELD: Final = "value"
"""The field of the model of a verb. Its alias is the verb, which may be no name of a field."""


# -- by the only key -------------------------------------------------------------------------------


class Step(NamedTuple):
    """An item of a list of verbs: the name of a component, and its `Config`."""

    verb: str
    config: Any


class ByVerb(Chosen):
    """A mapping of one key, the name of a component, to what the `Config` of that takes.

    Args:
        kind: the kind of the component.
        doc: what an item is, for the reference.
    """

    def __init__(self, kind: Kind, doc: str) -> None:
        self._kind, self._doc = kind, doc
        self._models: dict[str, tuple[Any, type[BaseModel]]] = {}

    def model(self, raw: Any) -> type[BaseModel] | None:
        verbs = list(raw) if isinstance(raw, dict) else []
        try:
            return self._of(verbs[0]) if len(verbs) == 1 and self._kind.has(verbs[0]) else None
        except ConfigError:
            return None

    def keys(self, raw: Any) -> list[str]:
        return self._kind.names()

    def validate(self, value: Any) -> Step:
        if not isinstance(value, dict):
            raise PydanticKnownError("dict_type")
        if unknown := [verb for verb in value if not self._has(verb)]:
            details = [
                InitErrorDetails(type="extra_forbidden", loc=(verb,), input=None)
                for verb in unknown
            ]
            raise ValidationError.from_exception_data("step", details, hide_input=True)
        if len(value) != 1:
            raise ValueError(f"one verb per item is needed: {', '.join(self._kind.names())}")
        [verb] = value
        try:
            model = self._of(verb)
        except ConfigError as error:
            raise_at((verb,), error)
        return Step(verb, getattr(model.model_validate(value), _FIELD))

    def _has(self, verb: Any) -> bool:
        try:
            return self._kind.has(verb)
        except ConfigError as error:
            raise_at((verb,), error)

    def _of(self, verb: str) -> type[BaseModel]:
        """A model of one key, the verb."""
        module = self._kind.load(verb)
        known = self._models.get(verb)
        if known is None or known[0] is not module:
            model = create_model(verb, __base__=Model, **{_FIELD: _field(verb, module, ...)})
            known = self._models[verb] = module, model
        return known[1]

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        fields: dict[str, Any] = {
            f"{_FIELD}_{verb}": _field(verb, self._kind.load(verb), None)
            for verb in self._kind.names()
        }
        whole = create_model("Step", __base__=Model, __doc__=self._doc, **fields)
        return handler(whole.__pydantic_core_schema__)


def _field(verb: str, module: ModuleType, default: Any) -> Any:
    """The field of a verb: type and description are those of the `Config` of its module."""
    kind = module.Config
    known: dict[str, Any] = {"alias": verb}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        doc = (kind.__doc__ or "").partition("\n")[0]
        known["description"] = doc[:1].lower() + doc[1:].rstrip(".")
    if default is None:
        known["json_schema_extra"] = lambda schema: schema.pop("default")
    return (kind, Field(default, **known))


# -- short forms -----------------------------------------------------------------------------------


class ShortForm:
    """Marks a model that may be written as text: the value of one of its keys alone.

    Args:
        key: the key.
    """

    def __init__(self, key: str) -> None:
        self._key = key

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._whole, handler(source))

    def _whole(self, value: Any) -> Any:
        return {self._key: value} if isinstance(value, str) else value

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"type": "string"}]}
