"""Where a response has a value (`Locator`), and where a request carries one (`Target`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from pydantic import Field, model_validator

from worker.config.effects import Effect
from worker.config.model import Model
from worker.config.scalars import (
    Flag,
    HeaderName,
    JmesPath,
    ParamName,
    SentHeaderName,
    WritePath,
)
from worker.core.cursor import Json
from worker.core.errors import PermanentError
from worker.core.model import MISSING, Facts
from worker.core.urls import not_in_query
from worker.paging.style import Address

_WORDS: Final[Mapping[str, Any]] = {"null": None, "false": False}
_INDEX: Final = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)


class _Place(Model):
    """A model of which exactly one key is given; `beside` are those that name no place."""

    beside: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _exactly_one(self) -> _Place:
        places = [name for name in type(self).model_fields if name not in self.beside]
        given = [name for name in places if getattr(self, name) is not None]
        if len(given) != 1:
            allowed = ", ".join(places)
            raise ValueError(
                f"exactly one of {allowed} is needed, found {', '.join(given) or 'none'}"
            )
        return self


class Locator(_Place):
    """Where a response says something."""

    body: JmesPath | None = Field(None, description="JMESPath into the body")
    header: HeaderName | None = Field(None, description="name of a response header")

    @property
    def body_paths(self) -> tuple[str, ...]:
        """The facts of the body that `read` needs."""
        return (self.body,) if self.body is not None else ()

    @property
    def last_paths(self) -> tuple[str, ...]:
        """The facts of the last record that `read` needs."""
        return ()

    def read(self, facts: Facts, headers: Mapping[str, str]) -> Any:
        """The value, MISSING where it is not there.

        Raises PermanentError for a header that is no text.
        """
        if self.body is not None:
            return facts.body.get(self.body, MISSING)
        return _header_text(headers, self.header or "")


class PageLocator(Locator):
    """Where a response says which page is next."""

    last_record: JmesPath | None = Field(
        None, description="JMESPath into the last record of the page"
    )

    @property
    def last_paths(self) -> tuple[str, ...]:
        return (self.last_record,) if self.last_record is not None else ()

    def read(self, facts: Facts, headers: Mapping[str, str]) -> Any:
        if self.last_record is not None:
            return facts.last.get(self.last_record, MISSING)
        return super().read(facts, headers)


class Target(_Place):
    """Where a request carries a value."""

    param: ParamName | None = Field(None, description="query parameter")
    header: SentHeaderName | None = Field(None, description="request header")
    body: WritePath | None = Field(
        None,
        description=(
            "dotted path in the JSON body: its objects are created when missing, and a number is "
            "the index of an element that is there"
        ),
    )
    form: ParamName | None = Field(None, description="field of the form in the body")

    @property
    def place(self) -> tuple[str, str]:
        """(`param`, `header`, `body` or `form`; the name or path there)."""
        if self.param is not None:
            return ("param", self.param)
        if self.header is not None:
            return ("header", self.header)
        return ("form", self.form) if self.form is not None else ("body", self.body or "")

    @property
    def words(self) -> str:
        """Where the value goes, for people."""
        if self.param is not None:
            return f"the parameter {self.param}"
        kind, name = self.place
        return f"the field {name} of the form" if kind == "form" else f"the {kind} {name}"

    def address(self, value: Json) -> Address:
        """What `value` adds to a request. In a body it keeps its type, elsewhere it is text."""
        if self.param is not None:
            return Address(params={self.param: as_text(value)})
        if self.header is not None:
            return Address(headers={self.header: as_text(value)})
        if self.form is not None:
            return Address(form={self.form: as_text(value)})
        return Address(body={self.body or "": value})


def param_target(name: str) -> Target:
    """A parameter of the query, of which the config has the name alone."""
    return Target(param=name)


class TokenTarget(Target):
    """Where a request carries a token of the source."""

    beside: ClassVar[tuple[str, ...]] = ("encoded",)

    encoded: Flag = Field(
        False,
        description="the token is percent-encoded already, and goes into the query as it came",
    )

    effects: ClassVar[tuple[Effect, ...]] = (
        Effect(
            "encoded",
            lambda target: not target.encoded or target.param is not None,
            "a header, a body and a form carry a token as it came anyway",
            "it counts with param",
        ),
    )
    """Keys that count only beside others."""

    def address(self, value: Json) -> Address:
        if self.encoded and self.param is not None:
            return Address(query={self.param: as_text(value)})
        return super().address(value)

    def refuse_unencoded(self, token: Json) -> None:
        """Raises PermanentError for a token that cannot go into the query as it came."""
        if self.encoded and self.param is not None and (wrong := not_in_query(as_text(token))):
            raise PermanentError(
                f"the token {as_text(token)[:80]!r} is not percent-encoded: it has {wrong!r}, "
                "which no value in a query may have",
                remedy=f"take encoded: true of {self.param} out: the token is then encoded when it "
                "is sent",
            )


def is_index(key: str) -> bool:
    """Whether a key of a write path may be the index of an element."""
    return _INDEX.fullmatch(key) is not None


def index_in(key: str, array: Sequence[Any]) -> int | None:
    """The index that a key of a write path is in an array; None where no element has it."""
    at = int(key) if is_index(key) else len(array)
    return at if at < len(array) else None


def as_text(value: Json) -> str:
    """A value as query or header text: JSON for what is not plain."""
    if isinstance(value, str):
        return value
    if value is True:
        return "true"
    if isinstance(value, int | float):
        return str(value)
    import orjson  # only structured tokens need it

    return orjson.dumps(value).decode()


def _header_text(headers: Mapping[str, str], name: str) -> Any:
    """A header; MISSING when it is not there. The words null and false are those values: they are
    what servers write for the token of a page that does not exist.

    Bytes that are no UTF-8 cannot be sent back as they came, so they are an error.
    """
    text = headers.get(name)
    if text is None:
        return MISSING
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise PermanentError(
            f"header {name} is no UTF-8 text: {text[:80]!r}",
            remedy="read the value from the body, or use another pagination type",
        )
    return _WORDS.get(text, text)
