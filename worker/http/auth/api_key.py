"""`api_key`: a key in a header, a query parameter or a cookie."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from worker.config.model import Issues
from worker.config.scalars import ParamName, header_value, sent_header, token_name
from worker.config.secrets import Secret
from worker.http.auth import AuthConfig, AuthDeps, StaticAuth


class Config(AuthConfig):
    """A key in a header, a query parameter or a cookie."""

    type: Literal["api_key"] = Field(description="kind of credentials")
    name: ParamName = Field("X-Api-Key", description="header, parameter or cookie name")
    in_: Literal["header", "query", "cookie"] = Field(
        "header", alias="in", description="where it goes"
    )
    value: Secret = Field(description="the key: a literal or a reference to a secret")
    prefix: str = Field("", description="text before the key, like `ApiKey `")

    @model_validator(mode="after")
    def _fits_its_place(self) -> Config:
        issues = Issues()
        if self.in_ != "query":
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
        return ("name", "param" if self.in_ == "query" else "header", self.name)

    @property
    def secret_params(self) -> tuple[str, ...]:
        return (self.name,) if self.in_ == "query" else ()


def build(config: Config, deps: AuthDeps) -> StaticAuth:
    name, value = config.name, deps.reading(config.value)
    if config.in_ == "query":
        return StaticAuth(params=lambda: {name: config.prefix + value()})
    if config.in_ == "cookie":
        return StaticAuth(lambda: {"Cookie": f"{name}={config.prefix}{value()}"})
    return StaticAuth(lambda: {name: config.prefix + value()})
