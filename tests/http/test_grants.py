"""The grants of OAuth 2 and what they have in common; refresh tokens have a file of their own."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from kit import answered
from pydantic import ValidationError

from worker.components import AUTH
from worker.core.errors import AuthError, ConfigError
from worker.core.model import Request
from worker.http.auth import Auth, AuthDeps, Outgoing
from worker.http.client import Response
from worker.testing.clock import FakeClock

URL = "https://login.example.com/token"


@dataclass
class Endpoint:
    """A token endpoint that gives out `answer`."""

    answer: Any = field(default_factory=lambda: {"access_token": "t0", "expires_in": 60})
    kind: str = "application/json"
    status: int = 200
    asked: list[Request] = field(default_factory=list)

    async def __call__(self, request: Request, *, follow: bool = True) -> Response:
        self.asked.append(request)
        found = answered(self.status, headers={"Content-Type": self.kind})
        body = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        return Response(self.status, found.headers, body, found.url)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl((self.asked[-1].body or b"").decode(), keep_blank_values=True))

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.asked[-1].headers)


def auth_over(endpoint: Endpoint, kind: str, **keys: Any) -> Auth:
    module = AUTH.load(f"oauth2_{kind}")
    config = module.Config.model_validate({"type": f"oauth2_{kind}", "token_url": URL, **keys})
    made: Auth = module.build(config, AuthDeps({}, FakeClock(), lambda url: endpoint))
    return made


async def sent(auth: Auth) -> dict[str, str]:
    return dict((await auth.authorize(Outgoing("GET", "http://h/", {}))).credentials)


CLIENT = {"client_id": "me", "client_secret": "s3cret"}
USER = {"username": "u", "password": "p&w", "client_id": "me"}


async def test_a_password_is_exchanged_by_a_public_client_or_another_one() -> None:
    endpoint = Endpoint()
    assert await sent(auth_over(endpoint, "password", **USER)) == {"Authorization": "Bearer t0"}
    wanted = {"grant_type": "password", "username": "u", "password": "p&w", "client_id": "me"}
    assert endpoint.form == wanted
    assert "Authorization" not in endpoint.headers
    await sent(auth_over(endpoint, "password", **USER, client_secret="x", scope="a b"))
    del wanted["client_id"]
    assert endpoint.form == {**wanted, "scope": "a b"}
    assert endpoint.headers["Authorization"] == "Basic " + base64.b64encode(b"me:x").decode()


async def test_further_fields_and_headers_go_with_the_token_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MORE", "from-the-environment")
    endpoint = Endpoint()
    auth = auth_over(
        endpoint,
        "client_credentials",
        **CLIENT,
        params={"audience": "api://x", "more": {"env": "MORE"}},
        headers={"accept": "*/*", "X-Tenant": {"env": "MORE"}},
    )
    await sent(auth)
    assert endpoint.form == {
        "grant_type": "client_credentials",
        "audience": "api://x",
        "more": "from-the-environment",
    }
    assert endpoint.headers["accept"] == "*/*" and "Accept" not in endpoint.headers
    assert endpoint.headers["X-Tenant"] == "from-the-environment"


async def test_what_comes_from_a_reference_is_told_by_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MORE", "from-the-environment")
    endpoint = Endpoint({"error": "no from-the-environment"}, status=400)
    auth = auth_over(endpoint, "client_credentials", **CLIENT, params={"more": {"env": "MORE"}})
    with pytest.raises(AuthError, match=r"no \*\*\*"):
        await sent(auth)


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BearerToken", "mac", None, 7])
@pytest.mark.parametrize("prefix", ["Bearer ", "", "Zoho-oauthtoken "])
async def test_the_type_of_a_token_is_not_looked_at(kind: Any, prefix: str) -> None:
    endpoint = Endpoint({"access_token": "t0", "token_type": kind})
    auth = auth_over(endpoint, "client_credentials", **CLIENT, prefix=prefix)
    assert await sent(auth) == {"Authorization": f"{prefix}t0"}


async def test_an_answer_may_be_a_form() -> None:
    endpoint = Endpoint(b"access_token=t%2B0&scope=a+b", "application/x-www-form-urlencoded")
    auth = auth_over(endpoint, "client_credentials", **CLIENT)
    assert await sent(auth) == {"Authorization": "Bearer t+0"}


def pem(key: Any) -> str:
    form = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    return str(key.private_bytes(serialization.Encoding.PEM, form, plain).decode())


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(("algorithm", "key"), [("RS256", RSA), ("PS384", RSA), ("ES256", EC)])
async def test_an_assertion_is_signed_for_each_token(
    algorithm: str, key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", pem(key))
    endpoint = Endpoint()
    auth = auth_over(
        endpoint,
        "jwt_bearer",
        issuer="me@example.com",
        subject="user",
        claims={"scope": "read"},
        private_key={"env": "KEY"},
        key_id="k1",
        algorithm=algorithm,
        lifetime="60s",
    )
    assert await sent(auth) == {"Authorization": "Bearer t0"}
    assert endpoint.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    signed = endpoint.form["assertion"]
    options: Any = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(
        signed, key.public_key(), algorithms=[algorithm], audience=URL, options=options
    )
    assert jwt.get_unverified_header(signed) == {"alg": algorithm, "kid": "k1", "typ": "JWT"}
    assert (claims["iss"], claims["sub"], claims["scope"]) == ("me@example.com", "user", "read")
    assert claims["exp"] - claims["iat"] == 60


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [("no key", "RS256"), (pem(EC), "RS256"), (pem(RSA), "ES256"), (pem(RSA)[:200], "RS256")],
)
async def test_a_key_that_cannot_sign_is_an_error_that_shows_nothing_of_it(
    key: str, algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", key)
    auth = auth_over(
        Endpoint(), "jwt_bearer", issuer="me", private_key={"env": "KEY"}, algorithm=algorithm
    )
    with pytest.raises(ConfigError, match=f"cannot sign with {algorithm}") as caught:
        await sent(auth)
    assert key[:30] not in str(caught.value) and caught.value.__cause__ is None


def test_a_key_has_several_lines_and_other_secrets_have_one() -> None:
    module = AUTH.load("oauth2_jwt_bearer")
    keys = {"type": "oauth2_jwt_bearer", "token_url": URL, "private_key": pem(EC)}
    module.Config.model_validate({**keys, "issuer": "me", "algorithm": "ES256"})
    with pytest.raises(ValidationError, match="control characters") as caught:
        module.Config.model_validate({**keys, "issuer": "a\nb"})
    assert caught.value.errors()[0]["loc"] == ("issuer",)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.config.extras.find_spec", lambda name: None)
    with pytest.raises(ValidationError) as caught:
        auth_over(Endpoint(), "jwt_bearer", issuer="me", private_key="x")
    [error] = caught.value.errors()
    assert error["loc"] == ("type",) and "worker-ingest[jwt]" in error["ctx"]["remedy"]
