"""Signatures of AWS: what is signed is what is sent, by a verification that is not botocore's."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import auth_of
from pydantic import ValidationError

from worker.core.errors import AuthError
from worker.http.auth import Outgoing
from worker.http.auth.aws_sigv4 import Config, as_signed

KEYS = {"service": "execute-api", "region": "eu-central-1"}
OWN = {"access_key": "AKID", "secret_key": "s3cret-key"}


def mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def encoded(text: str) -> str:
    return quote(unquote(text), safe="-._~")


def is_signed(request: Outgoing, secret: str, *, service: str = "execute-api") -> bool:
    """As AWS describes how a signature is made, from what a server sees."""
    parts = urlsplit(request.url)
    lower = {name.lower(): " ".join(each.split()) for name, each in request.headers.items()}
    lower["host"] = parts.netloc
    fields = dict(
        part.split("=", 1) for part in lower["authorization"].partition(" ")[2].split(", ")
    )
    _, day, region, named, end = fields["Credential"].split("/")
    names = fields["SignedHeaders"].split(";")
    pairs = [pair.partition("=") for pair in parts.query.split("&") if pair]
    query = "&".join(f"{a}={b}" for a, b in sorted((encoded(a), encoded(b)) for a, _, b in pairs))
    path = parts.path if service == "s3" else quote(parts.path, safe="/-._~")
    headers = "".join(f"{name}:{lower[name]}\n" for name in names)
    content = hashlib.sha256(request.body or b"").hexdigest()
    whole = "\n".join([request.method, path, query, headers, ";".join(names), content])
    scope = f"{day}/{region}/{named}/{end}"
    digest = hashlib.sha256(whole.encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in (day, region, named, end):
        key = mac(key, part)
    text = f"AWS4-HMAC-SHA256\n{lower['x-amz-date']}\n{scope}\n{digest}"
    return named == service and mac(key, text).hex() == fields["Signature"]


TEXT = st.text("abZ09-._~ !$&'()*,:@/+%=ü€", max_size=8)


@given(
    segments=st.lists(TEXT.filter(lambda each: each not in ("", ".", "..")), max_size=3),
    params=st.lists(st.tuples(TEXT, TEXT), max_size=4),
    body=st.none() | st.binary(max_size=20),
)
async def test_any_request_verifies_as_it_is_sent(
    segments: list[str], params: list[tuple[str, str]], body: bytes | None
) -> None:
    path = "/".join(quote(each, safe="!$'()*,:@") for each in segments)
    query = "&".join(f"{quote(a, safe='/?:')}={quote(b, safe='/?:@')}" for a, b in params)
    auth = auth_of("aws_sigv4", **KEYS, **OWN)
    request = await auth.authorize(
        Outgoing("POST", f"http://h:81/{path}?{query}", {"X-A": " b   c "}, body)
    )
    assert is_signed(request, "s3cret-key")
    sent, given_ = urlsplit(request.url), urlsplit(f"http://h:81/{path}")
    assert unquote(sent.path) == unquote(given_.path)


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("http://h", "http://h/"),
        ("https://h:443/a b", "https://h/a%20b"),
        ("http://h/a%2fb/c+d", "http://h/a%2Fb/c%20d"),
        ("http://h/?a=b/c&d=e+f&g&h=i=j", "http://h/?a=b%2Fc&d=e%20f&g=&h=i%3Dj"),
        ("http://h/?", "http://h/"),
        ("http://h/%C3%BC?%7Ea=%7e", "http://h/%C3%BC?~a=~"),
    ],
)
def test_a_url_has_one_way_of_writing(url: str, written: str) -> None:
    assert as_signed(url.replace(" ", "%20")) == written
    assert as_signed(written) == written


async def test_another_body_path_or_header_does_not_verify() -> None:
    auth = auth_of("aws_sigv4", **KEYS, **OWN)
    request = await auth.authorize(Outgoing("GET", "http://h/a?b=c", {"X-A": "1"}))
    assert is_signed(request, "s3cret-key") and not is_signed(request, "other-key")
    for changed in (
        {"url": "http://h/a?b=d"},
        {"url": "http://other/a?b=c"},
        {"body": b"x"},
        {"headers": {**request.headers, "X-A": "2"}},
    ):
        other: dict[str, Any] = {"url": request.url, "headers": request.headers, "body": None}
        assert not is_signed(Outgoing("GET", **(other | changed)), "s3cret-key")


async def test_what_may_change_on_the_way_is_not_signed_and_only_what_proves_is_a_secret() -> None:
    auth = auth_of("aws_sigv4", **KEYS, **OWN, session_token="t0ken")
    headers = {"Cookie": "a=1", "Accept-Encoding": "gzip", "Accept": "x"}
    request = await auth.authorize(Outgoing("GET", "http://h/", headers))
    signed = request.headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    assert signed == "accept;host;x-amz-date;x-amz-security-token"
    assert set(request.credentials) == {"Authorization", "X-Amz-Security-Token"}
    assert request.headers["Cookie"] == "a=1"


async def test_s3_signs_the_path_as_it_is_and_the_hash_of_the_body() -> None:
    auth = auth_of("aws_sigv4", service="s3", region="r", **OWN)
    request = await auth.authorize(Outgoing("GET", "http://h/a%20b/c%2Bd", {}))
    assert request.headers["X-Amz-Content-SHA256"] == hashlib.sha256(b"").hexdigest()
    assert is_signed(request, "s3cret-key", service="s3")


async def test_without_keys_the_usual_chain_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "absent"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "from-the-chain")
    request = await auth_of("aws_sigv4", **KEYS).authorize(Outgoing("GET", "http://h/", {}))
    assert is_signed(request, "from-the-chain")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AuthError, match="no AWS credentials") as caught:
        await auth_of("aws_sigv4", **KEYS).authorize(Outgoing("GET", "http://h/", {}))
    assert "access_key" in caught.value.remedy


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"access_key": "a"}, ("secret_key",)),
        ({"secret_key": "a"}, ("access_key",)),
        ({"session_token": "a"}, ("session_token",)),
        ({"region": ""}, ("region",)),
    ],
)
def test_half_of_the_keys_is_refused(keys: dict[str, str], place: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"type": "aws_sigv4", **KEYS, **keys})
    assert [error["loc"] for error in caught.value.errors()] == [place]


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.config.extras.find_spec", lambda name: None)
    with pytest.raises(ValidationError, match="botocore, which is not installed") as caught:
        Config.model_validate({"type": "aws_sigv4", **KEYS})
    [error] = caught.value.errors()
    assert error["loc"] == ("type",) and "worker-ingest[aws]" in error["ctx"]["remedy"]
