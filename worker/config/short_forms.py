"""Short forms: keys that say in a word what another key, their general form, says in full.

Whoever writes a config may use either. When it is loaded, what was written in short is rewritten
into the general form, and everything else reads that one alone. What was written is not forgotten:
problems name it, and fingerprints are made of it, so that stored cursors keep their meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from worker.config.model import Model


class Short(NamedTuple):
    """The key `key` is short for the key `general` of the same model.

    Attributes:
        rewrite: makes the value of the general form of that of the short one.
    """

    key: str
    general: str
    rewrite: Callable[[Any], Any]


class WithShortForms(Model):
    """Base of the models that have short forms: after loading, the general ones say it all."""

    shorts: ClassVar[tuple[Short, ...]] = ()

    @model_validator(mode="after")
    def _in_general_form(self) -> Self:
        for key, general, rewrite in self.shorts:
            value = getattr(self, key)
            if value is not None and getattr(self, general) is None:
                self.__dict__[general] = rewrite(value)  # the model is frozen, and still being made
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = dump(self)
        made = {each.general for each in self.shorts if self.written_as(each.general) == each.key}
        return {key: value for key, value in dumped.items() if key not in made}

    def written_as(self, general: str) -> str:
        """The key that was written for a general form: that one, or a short one."""
        if general in self.model_fields_set:
            return general
        written = (each.key for each in self.shorts if each.general == general)
        return next((key for key in written if getattr(self, key) is not None), general)

    def ways(self, general: str) -> list[str]:
        """The keys that were written for a general form: none, one, or two that contradict."""
        keys = [each.key for each in self.shorts if each.general == general]
        return [
            key
            for key in (*keys, general)
            if key in self.model_fields_set and getattr(self, key) is not None
        ]
