"""`session`: a login gives a token, which every request carries until it ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from worker.config.model import Issues, Model
from worker.config.scalars import (
    ConfiguredHeaderName,
    HeaderValue,
    JmesPath,
    ParamName,
    PositiveDuration,
    SentHeaderName,
    Url,
    token_name,
)
from worker.config.secrets import HoldsReferences, Secret, SecretRef, with_references
from worker.core.errors import AuthError
from worker.core.jsonpath import reader
from worker.core.model import Request
from worker.http.auth import Answer, AuthConfig, AuthDeps
from worker.http.auth.endpoint import FORM, Endpoint, document_of, said
from worker.http.auth.renewable import LONGEST_S, Issued, Renewable
from worker.http.headers import with_headers

REMEDY: Final = "check source.auth.login, and source.auth.token with what the login answers"

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}")

CookieName = Annotated[str, AfterValidator(lambda value: token_name(value, "cookie"))]


class Login(Model):
    """The request that gives a token."""

    url: Url = Field(description="URL of the login")
    method: Literal["POST", "GET"] = Field("POST", description="GET has neither body nor form")
    body: Annotated[Any, BeforeValidator(with_references), HoldsReferences()] = Field(
        None,
        description=(
            "JSON body; an object that has the keys of a reference to a secret and no others, "
            "like {env: NAME}, is the secret"
        ),
    )
    form: dict[ParamName, Secret] = Field(
        {}, description="instead of body: fields of a form, literals or references to secrets"
    )
    headers: dict[ConfiguredHeaderName, Secret] = Field(
        {}, description="request headers: literals or references to secrets"
    )

    @model_validator(mode="after")
    def _one_body(self) -> Login:
        issues = Issues()
        if self.body is not None and self.form:
            issues.add(("form",), "body and form are both given", "body", remedy="take one out")
        for key in ("body", "form"):
            if self.method == "GET" and getattr(self, key):
                issues.add((key,), f"a {key} needs method: POST", "method")
        issues.check()
        return self


class TokenPlace(Model):
    """Where the answer of the login has the token."""

    body: JmesPath | None = Field(None, description="path into its JSON body")
    header: SentHeaderName | None = Field(None, description="name of a header")
    cookie: CookieName | None = Field(None, description="name of a cookie that it sets")

    @model_validator(mode="after")
    def _one(self) -> TokenPlace:
        if sum(each is not None for each in (self.body, self.header, self.cookie)) != 1:
            raise ValueError("exactly one of body, header, cookie is needed")
        return self


class SendPlace(Model):
    """Where requests carry the token."""

    header: SentHeaderName | None = Field(None, description="name of a header")
    param: ParamName | None = Field(None, description="name of a query parameter")
    cookie: CookieName | None = Field(None, description="name of a cookie")
    prefix: HeaderValue = Field("", description="text before the token, like `Token `")

    @model_validator(mode="after")
    def _one(self) -> SendPlace:
        if sum(each is not None for each in (self.header, self.param, self.cookie)) != 1:
            raise ValueError("exactly one of header, param, cookie is needed")
        return self

    @property
    def place(self) -> tuple[str, str]:
        """Its kind, and its name."""
        kinds = {"header": self.header, "param": self.param, "cookie": self.cookie}
        return next((kind, name) for kind, name in kinds.items() if name is not None)


class Config(AuthConfig):
    """A login gives a token, which is sent until it ends; then the login is made again."""

    type: Literal["session"] = Field(description="kind of credentials")
    login: Login = Field(description="the request that gives the token")
    token: TokenPlace = Field(description="where its answer has the token")
    send: SendPlace | None = Field(
        None,
        description=(
            "where requests carry it; default: a cookie as that cookie, any other token as "
            "`Authorization: Bearer`"
        ),
    )
    expires: PositiveDuration | None = Field(
        None, description="how long a session lives; default: until the source refuses it"
    )

    @property
    def sent(self) -> SendPlace:
        """Where requests carry the token."""
        if self.send is not None:
            return self.send
        if self.token.cookie is not None:
            return SendPlace(cookie=self.token.cookie)
        return SendPlace(header="Authorization", prefix="Bearer ")

    @property
    def carried(self) -> tuple[str, str, str]:
        return ("token" if self.send is None else "send", *self.sent.place)

    @property
    def endpoints(self) -> tuple[str, ...]:
        return (self.login.url,)

    @property
    def secret_params(self) -> tuple[str, ...]:
        kind, name = self.sent.place
        return (name,) if kind == "param" else ()


def build(config: Config, deps: AuthDeps) -> Renewable:
    endpoint = Endpoint(
        deps.fetch_from(config.login.url),
        "the login",
        REMEDY,
        "source.auth.login.url",
        follow=False,  # a login often ends with a redirect to a page for people
    )
    request_of = _requests(config.login, deps)
    life_s = LONGEST_S if config.expires is None else config.expires

    async def ask(now: float) -> Issued:
        request, secrets = request_of()
        answer = await endpoint.ask(request, secrets)
        token = _token_in(answer, config.token)
        if not _TOKEN.fullmatch(token):
            raise AuthError(
                f"the login answered {answer.status} without a token{said(answer, secrets)}",
                where=request.url.partition("?")[0],
                remedy=REMEDY,
            )
        headers, params = _carrying(config.sent, token)
        return Issued(headers, params, refresh_at=now + life_s, expires_at=now + life_s)

    return Renewable(ask, deps.clock)


def _requests(login: Login, deps: AuthDeps) -> Callable[[], tuple[Request, list[str]]]:
    """A function that makes the request of the login, and says which of its texts may be secret."""

    def read(value: Any) -> Any:
        if isinstance(value, SecretRef):
            return deps.reading(value)()
        if isinstance(value, Mapping):
            return {name: read(each) for name, each in value.items()}
        return [read(each) for each in value] if isinstance(value, list) else value

    def request() -> tuple[Request, list[str]]:
        form, body = read(login.form), read(login.body)
        own, data = dict[str, str](), None
        if form:
            own, data = {"Content-Type": FORM}, urlencode(form).encode()
        elif body is not None:
            own, data = {"Content-Type": "application/json"}, msgspec.json.encode(body)
        headers = read(login.headers)
        sent = with_headers({"Accept": "application/json", **own}, headers)
        secrets = [*_texts(form), *_texts(body), *_texts(headers)]
        return Request(login.method, login.url, headers=tuple(sent.items()), body=data), secrets

    return request


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def _token_in(answer: Answer, place: TokenPlace) -> str:
    """The token of an answer; empty where it has none."""
    if place.header is not None:
        return answer.headers.get(place.header, "").strip()
    if place.cookie is not None:
        return _cookie_in(answer, place.cookie)
    assert place.body is not None
    value = reader(place.body)(document_of(answer))
    is_token = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value) if is_token else ""


def _cookie_in(answer: Answer, name: str) -> str:
    """The last value that an answer gives a cookie (RFC 6265, 5.2)."""
    pairs = (line.partition(";")[0].partition("=") for line in answer.set_cookies)
    values = [value.strip() for key, _, value in pairs if key.strip() == name]
    return values[-1] if values else ""


def _carrying(place: SendPlace, token: str) -> tuple[dict[str, str], dict[str, str]]:
    """The headers and the parameters that carry a token."""
    kind, name = place.place
    value = place.prefix + token
    if kind == "param":
        return {}, {name: value}
    return ({"Cookie": f"{name}={value}"} if kind == "cookie" else {name: value}), {}
