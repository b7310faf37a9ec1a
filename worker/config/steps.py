"""The list under `transforms`: one verb per item."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from worker.config.model import Model
from worker.config.secrets import Secret


class MaskConfig(Model):
    """Take out what identifies people."""

    """Take out what identifies people."""

    fields: tuple[str, ...] = Field(min_length=1, description="text fields to mask")
    method: Literal["hash", "redact", "last4"] = Field(
        "hash", description="HMAC-SHA256 in hex, `***`, or all but the last four characters"
    )
    key: Secret | None = Field(None, description="key of the hash")


class PythonConfig(Model):
    """A function of yours."""

    """A function of yours."""

    function: str = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="package.module:function, fn(record: dict) -> dict | None | list[dict]",
    )
    values: Literal["plain", "native"] = Field(
        "plain",
        description="native: dates and times are datetime objects; times in nanoseconds stay numbers",
    )


def _python(value: Any) -> Any:
    return {"function": value} if isinstance(value, str) else value


class Step(Model):
    """One transform."""

    select: tuple[str, ...] | None = Field(None, min_length=1, description="keep these fields")
    drop: tuple[str, ...] | None = Field(None, min_length=1, description="drop these fields")
    rename: dict[str, str] | None = Field(None, min_length=1, description="old name: new name")
    set: dict[str, str] | None = Field(None, min_length=1, description="field: expression")
    filter: str | None = Field(None, description="expression; records for which it is true go on")
    mask: MaskConfig | None = Field(None, description="take out what identifies people")
    python: Annotated[PythonConfig | None, BeforeValidator(_python)] = Field(
        None, description="package.module:function, or {function, values}"
    )

    @model_validator(mode="after")
    def _one(self) -> Step:
        if len(self.model_fields_set) != 1 or self.value is None:
            raise ValueError(f"one verb per item is needed: {', '.join(type(self).model_fields)}")
        return self

    @property
    def verb(self) -> str:
        return next(iter(self.model_fields_set), "")

    @property
    def value(self) -> Any:
        return getattr(self, self.verb) if self.verb else None
