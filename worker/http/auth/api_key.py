"""`api_key`: a key in a header, a query parameter, a cookie or the URL."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, model_validator

from worker.config.model import Issues, unfit
from worker.config.scalars import ParamName, header_value, sent_header, token_name
from worker.config.secrets import Secret
from worker.http.auth import AuthConfig, AuthDeps, StaticAuth


class Config(AuthConfig):
    """A key in a header, a query parameter, a cookie, or a place of the URL."""

    type: Literal["api_key"] = Field(description="kind of credentials")
    name: ParamName = Field(
        "X-Api-Key",
        description="name of the header, parameter or cookie; with `in: path`, of {secret.NAME}",
    )
    in_: Literal["header", "query", "cookie", "path"] = Field(
        "header", alias="in", description="where it goes; path: where url has {secret.NAME}"
    )
    value: Secret = Field(description="the key: a literal or a reference to a secret")
    prefix: str = Field("", description="text before the key, like `ApiKey `")

    @model_validator(mode="after")
    def _fits_its_place(self) -> Config:
        issues = Issues()
        if self.in_ == "path":
            with issues.at("name"):
                _secret_name(self.name)
        elif self.in_ != "query":
            with issues.at("name"):
                token_name(self.name, self.in_)
                if self.in_ == "header":
                    sent_header(self.name)
            with issues.at("prefix"):
                header_value(self.prefix)
        issues.check()
        return self

    @property
    def carried(self) -> tuple[str, str, str]:
        if self.in_ == "cookie":
            return ("name", "cookie", self.name)
        if self.in_ == "path":
            return ("name", "url", self.name)
        return ("name", "param" if self.in_ == "query" else "header", self.name)

    @property
    def secret_params(self) -> tuple[str, ...]:
        return (self.name,) if self.in_ == "query" else ()

    @property
    def url_secrets(self) -> tuple[str, ...]:
        return (self.name,) if self.in_ == "path" else ()


def _secret_name(value: str) -> None:
    """Raises `unfit` for what is no name of a placeholder."""
    if not re.fullmatch(r"\w[\w-]*", value, re.ASCII):
        raise unfit(
            "this is no name of a placeholder",
            allowed="letters, digits, _ and - are allowed in it",
            remedy="write the name that url has in {secret.NAME}",
        )


def build(config: Config, deps: AuthDeps) -> StaticAuth:
    name, value = config.name, deps.reading(config.value)
    if config.in_ == "query":
        return StaticAuth(params=lambda: {name: config.prefix + value()})
    if config.in_ == "path":
        return StaticAuth(in_url=lambda: {name: config.prefix + value()})
    if config.in_ == "cookie":
        return StaticAuth(lambda: {"Cookie": f"{name}={config.prefix}{value()}"})
    return StaticAuth(lambda: {name: config.prefix + value()})
