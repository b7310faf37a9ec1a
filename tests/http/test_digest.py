"""Digest: the vectors of the RFCs, another implementation, and what servers do with nonces."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import DigestAuthMiddleware
from hypothesis import given
from hypothesis import strategies as st
from kit import answered, auth_of
from yarl import URL

from worker.core.errors import AuthError
from worker.http.auth import Auth, Outgoing
from worker.http.auth.challenges import Challenge, challenges_in
from worker.http.auth.digest import Asked, asked_in

RFC_7616 = Asked(
    realm="http-auth@example.org",
    nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    qop="auth",
)
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
UNICODE = Asked(
    realm="api@example.org",
    nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
    algorithm="SHA-512-256",
    opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS",
    qop="auth",
    userhash=True,
)


def part(header: str, name: str) -> str:
    found = re.search(rf'\b{re.escape(name)}="?([^",]*)', header)
    return found[1] if found else ""


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(algorithm: str, response: str) -> None:
    header = replace(RFC_7616, algorithm=algorithm).header(
        "GET", "/dir/index.html", "Mufasa", "Circle of Life", nc=1, cnonce=CNONCE
    )
    assert part(header, "response") == response
    assert set(header.removeprefix("Digest ").split(", ")) == {
        'username="Mufasa"',
        'realm="http-auth@example.org"',
        'uri="/dir/index.html"',
        f"algorithm={algorithm}",
        f'nonce="{RFC_7616.nonce}"',
        "nc=00000001",
        f'cnonce="{CNONCE}"',
        "qop=auth",
        f'response="{response}"',
        f'opaque="{RFC_7616.opaque}"',
    }


def test_a_name_is_hashed_as_the_errata_of_rfc_7616_say() -> None:
    """RFC 7616, 3.9.2; the RFC itself took another hash for SHA-512/256."""
    header = UNICODE.header(
        "GET",
        "/doe.json",
        "Jäsøn Doe",
        "Secret, or not?",
        nc=1,
        cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm",
    )
    name = "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    assert part(header, "username") == name
    assert "userhash=true" in header
    plain = replace(UNICODE, userhash=False)
    header = plain.header("GET", "/", "Jäsøn Doe", "x", nc=1, cnonce="c")
    assert "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe" in header


def test_the_example_of_rfc_2617_and_that_of_rfc_2069() -> None:
    asked = Asked("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth")
    found = asked.header(
        "GET", "/dir/index.html", "Mufasa", "Circle Of Life", nc=1, cnonce="0a4f113b"
    )
    assert part(found, "response") == "6629fae49393a05397450978507c4ef1"
    found = replace(asked, qop="").header(
        "GET", "/dir/index.html", "Mufasa", "CircleOfLife", nc=1, cnonce="unused"
    )
    assert part(found, "response") == "1949323746fe6a43ef61f9606e7febea"  # by its erratum 749
    assert "nc=" not in found and "cnonce=" not in found


@given(
    algorithm=st.sampled_from(["MD5", "MD5-sess", "SHA-256", "SHA-256-SESS"]),
    realm=st.text("ab c,=", max_size=6),
    nonce=st.text("abc0/+=", min_size=1, max_size=9),
    uri=st.sampled_from(["/", "/a?b=c", "/a%20b?q=%22"]),
    qop=st.sampled_from(["", "auth"]),
)
def test_another_implementation_makes_the_same_response(
    algorithm: str, realm: str, nonce: str, uri: str, qop: str
) -> None:
    if algorithm.lower().endswith("-sess"):
        qop = "auth"  # without it nothing says what the session key is made of
    middleware = DigestAuthMiddleware("me", "s3cret:ü")
    middleware._challenge = {"realm": realm, "nonce": nonce, "algorithm": algorithm, "qop": qop}  # type: ignore[typeddict-item]
    theirs = asyncio.run(middleware._encode("GET", URL(f"http://h{uri}", encoded=True), b""))
    ours = Asked(realm, nonce, algorithm, qop=qop).header(
        "GET", uri, "me", "s3cret:ü", nc=1, cnonce=part(theirs, "cnonce")
    )
    assert part(ours, "response") == part(theirs, "response")


def test_challenges_are_told_apart() -> None:
    header = (
        'Negotiate abc==, Basic realm="a, Digest b", Digest realm="x\\"y", nonce=n1, '
        'qop="auth,auth-int", , Digest realm="z",nonce = "n2" , algorithm=SHA-256'
    )
    assert challenges_in(header) == [
        Challenge("negotiate", {}),
        Challenge("basic", {"realm": "a, Digest b"}),
        Challenge("digest", {"realm": 'x"y', "nonce": "n1", "qop": "auth,auth-int"}),
        Challenge("digest", {"realm": "z", "nonce": "n2", "algorithm": "SHA-256"}),
    ]
    best = asked_in(header)
    assert best is not None and best.nonce == "n2"


@given(st.text(max_size=60) | st.text('Digest nonce="\\,= ', max_size=60))
def test_any_header_is_read(header: str) -> None:
    challenges_in(header)
    asked_in(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        'Basic realm="x"',
        'Digest realm="x"',
        'Digest realm="x", nonce="n", algorithm=SHA3',
        'Digest realm="x", nonce="n", qop="auth-int"',
    ],
)
async def test_what_cannot_be_answered_is_an_error_that_says_what_is_asked(header: str) -> None:
    auth = auth_of("digest", username="me", password="s3cret")
    with pytest.raises(AuthError, match="no digest that we know") as caught:
        auth.renew(answered(401, headers={"WWW-Authenticate": header} if header else {}))
    assert "qop auth" in caught.value.remedy


async def sent(auth: Auth, url: str = "http://h/a?b=c") -> str:
    return (await auth.authorize(Outgoing("GET", url, {}))).headers.get("Authorization", "")


def refusal(header: str, nonce: str, **more: Any) -> Any:
    challenge = f'Digest realm="r", nonce="{nonce}", qop="auth"'
    extra = "".join(f", {key}={value}" for key, value in more.items())
    found = {"WWW-Authenticate": challenge + extra}
    return answered(401, headers=found, credentials={"Authorization": header} if header else {})


async def test_the_first_request_carries_nothing_and_each_later_one_the_next_count() -> None:
    auth = auth_of("digest", username="me", password="s3cret")
    assert await sent(auth) == ""
    assert auth.renew(refusal("", "n1"))
    counts = [part(await sent(auth), "nc") for _ in range(3)]
    assert counts == ["00000001", "00000002", "00000003"]
    assert part(await sent(auth), "uri") == "/a?b=c"
    assert "s3cret" not in await sent(auth)


async def test_a_stale_nonce_is_replaced_as_often_as_the_server_says() -> None:
    auth = auth_of("digest", username="me", password="s3cret")
    assert auth.renew(refusal("", "n1"))
    for number in range(1, 9):
        header = await sent(auth)
        assert auth.renew(refusal(header, f"n{number + 1}", stale="TRUE"))
    assert part(await sent(auth), "nonce") == "n9"


async def test_a_password_that_is_refused_is_refused() -> None:
    auth = auth_of("digest", username="me", password="s3cret")
    assert auth.renew(refusal("", "n1"))
    assert auth.renew(refusal(await sent(auth), "n2"))  # some do not say that a nonce is stale
    assert not auth.renew(refusal(await sent(auth), "n3"))


async def test_a_nonce_that_was_good_may_end_without_a_word() -> None:
    auth = auth_of("digest", username="me", password="s3cret")
    assert auth.renew(refusal("", "n1"))
    for number in range(1, 5):
        header = await sent(auth)
        auth.answered(answered(200, credentials={"Authorization": header}))
        assert auth.renew(refusal(header, f"n{number + 1}"))


async def test_who_comes_late_with_an_old_nonce_takes_the_new_one() -> None:
    auth = auth_of("digest", username="me", password="s3cret")
    assert auth.renew(refusal("", "n1"))
    first, second = await sent(auth), await sent(auth)
    assert auth.renew(refusal(first, "n2"))
    assert auth.renew(refusal(second, "n3"))
    assert part(await sent(auth), "nonce") == "n2"


async def test_the_server_may_name_the_next_nonce() -> None:
    auth = auth_of("digest", username="me", password="s3cret")
    assert auth.renew(refusal("", "n1"))
    header = await sent(auth)
    info = {"Authentication-Info": 'nextnonce="n2", rspauth="x"'}
    auth.answered(answered(200, headers=info, credentials={"Authorization": header}))
    assert (part(await sent(auth), "nonce"), part(await sent(auth), "nc")) == ("n2", "00000002")
