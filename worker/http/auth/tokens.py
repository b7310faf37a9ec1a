"""Access tokens of OAuth 2: what all grants have in common (RFC 6749).

A grant is a module beside this one. It says which form the token request has; how the client
proves itself, what the answer means and when the token is renewed stands here.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote_plus, urlencode

from pydantic import AfterValidator, Field

from worker.config.scalars import (
    ConfiguredHeaderName,
    Duration,
    ParamName,
    Url,
    header_value,
    unit_field,
)
from worker.config.secrets import Secret
from worker.core.errors import AuthError, BadBody
from worker.core.model import Request
from worker.http.auth import Answer, AuthConfig, AuthDeps
from worker.http.auth.endpoint import FORM, Endpoint, document_of, said
from worker.http.auth.renewable import LONGEST_S, Issued
from worker.http.headers import with_headers

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}")
_LIFE: Final = re.compile(r"\d{1,10}(\.\d{1,9})?", re.ASCII)


class TokenConfig(AuthConfig):
    """What all grants have in common."""

    token_url: Url = Field(description="URL of the token endpoint")
    client_id: Secret = Field("", description="client id: a literal or a reference to a secret")
    client_secret: Secret = Field(
        "", description="client secret: a literal or a reference to a secret"
    )
    scope: str = Field("", description="scopes to ask for, with spaces between them")
    params: dict[ParamName, Secret] = Field(
        {}, description="further fields of the token request: literals or references to secrets"
    )
    headers: dict[ConfiguredHeaderName, Secret] = Field(
        {}, description="headers of the token request: literals or references to secrets"
    )
    prefix: Annotated[str, AfterValidator(header_value)] = Field(
        "Bearer ", description="text before the token in the Authorization header"
    )
    refresh_before: Duration = unit_field(
        "60s", description="renew a token this long before it expires"
    )
    client_auth: Literal["basic", "body"] = Field(
        "basic", description="how the client proves itself to the token endpoint"
    )

    @property
    def endpoints(self) -> tuple[str, ...]:
        return (self.token_url,)


@dataclass(frozen=True, slots=True)
class Grant:
    """What one grant asks with.

    Attributes:
        form: the fields of the request.
        secrets: the values of them that nobody may read in an error.
    """

    form: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A successful answer of the endpoint: the token, and the whole document that has it."""

    issued: Issued
    document: Mapping[str, Any] = field(repr=False)


class TokenEndpoint:
    """A token endpoint, and the client that asks it.

    Args:
        keys: the keys of the config that an endpoint which refuses is about.
    """

    def __init__(self, config: TokenConfig, deps: AuthDeps, *, keys: str) -> None:
        self._config = config
        self._client_id = deps.reading(config.client_id)
        self._client_secret = deps.reading(config.client_secret)
        self._params = {name: deps.reading(each) for name, each in config.params.items()}
        self._headers = {name: deps.reading(each) for name, each in config.headers.items()}
        self._endpoint = Endpoint(
            deps.fetch_from(config.token_url),
            "the token endpoint",
            f"check {keys}, scope and client_auth in source.auth",
            "source.auth.token_url",
        )

    async def ask(self, grant: Grant, now: float) -> TokenAnswer:
        """The token of one request. Raises as `Renewable` says."""
        request, secrets = self._request(grant)
        answer = await self._endpoint.ask(request, secrets)
        return self._read(answer, said(answer, secrets), now)

    def _request(self, grant: Grant) -> tuple[Request, list[str]]:
        """A token request, with the client's credentials as RFC 6749, 2.3.1 has them; and what is
        secret of it.
        """
        client_id, secret = self._client_id(), self._client_secret()
        form = dict(grant.form)
        if self._config.scope:
            form["scope"] = self._config.scope
        headers = {"Content-Type": FORM, "Accept": "application/json"}
        secrets = [secret, quote_plus(secret), *grant.secrets, *map(quote_plus, grant.secrets)]
        if self._config.client_auth == "basic" and secret:
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
            basic = base64.b64encode(pair.encode()).decode()
            headers["Authorization"] = f"Basic {basic}"
            secrets.append(basic)
        else:
            named = {"client_id": client_id, "client_secret": secret}
            form |= {name: each for name, each in named.items() if each}
        added = {name: read() for name, read in self._params.items()}
        more = {name: read() for name, read in self._headers.items()}
        secrets += [
            *_references(self._config.params, added),
            *_references(self._config.headers, more),
        ]
        body = urlencode(form | added).encode()
        items = tuple(with_headers(headers, more).items())
        return Request("POST", self._config.token_url, headers=items, body=body), secrets

    def _read(self, answer: Answer, said: str, now: float) -> TokenAnswer:
        """The token of a successful answer (RFC 6749, 5.1).

        Its type is not looked at: `prefix` says how it is sent.
        """
        where, document = self._config.token_url.partition("?")[0], document_of(answer)
        if not isinstance(document, dict):
            raise BadBody("the token endpoint sent no JSON object", where=where)
        value = document.get("access_token")
        if not isinstance(value, str) or not _TOKEN.fullmatch(value):
            raise AuthError(
                f"the token endpoint sent no access_token{said}",
                where=where,
                remedy="check source.auth",
            )
        life_s = seconds(document.get("expires_in"))
        issued = Issued(
            {"Authorization": f"{self._config.prefix}{value}"},
            {},
            refresh_at=now + life_s - min(self._config.refresh_before, life_s / 2),
            expires_at=now + life_s,
        )
        return TokenAnswer(issued, document)


def _references(configured: Mapping[str, Any], read: Mapping[str, str]) -> list[str]:
    """The values that come from references to secrets."""
    return [read[name] for name, each in configured.items() if not isinstance(each, str)]


def seconds(expires_in: Any) -> float:
    """A lifetime as endpoints write it; `LONGEST_S` where they do not."""
    if isinstance(expires_in, str) and _LIFE.fullmatch(expires_in):
        expires_in = float(expires_in)
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return LONGEST_S
    return float(max(1.0, min(expires_in, LONGEST_S)))
