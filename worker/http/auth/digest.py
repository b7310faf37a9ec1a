"""`digest`: the password is proved and never sent (RFC 7616).

The first request carries nothing, and its refusal brings the challenge. Later requests answer that
one, each with the next count, until the server wants another nonce.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Final, Literal
from urllib.parse import quote

from pydantic import Field
from yarl import URL

from worker.config.secrets import Secret
from worker.core.errors import AuthError
from worker.core.ports import Clock
from worker.http.auth import Answer, AuthConfig, AuthDeps, Outgoing
from worker.http.auth.challenges import Challenge, challenges_in
from worker.http.auth.renewable import FIRST_ERROR, RENEWALS_APART_S

ALGORITHMS: Final = {"sha-512-256": "sha512_256", "sha-256": "sha256", "md5": "md5"}
"""The best first; each also with `-sess`."""


class Config(AuthConfig):
    """User name and password, proved without sending the password (RFC 7616)."""

    type: Literal["digest"] = Field(description="kind of credentials")
    username: Secret = Field(description="user name: a literal or a reference to a secret")
    password: Secret = Field(description="password: a literal or a reference to a secret")


@dataclass(frozen=True, slots=True)
class Asked:
    """A challenge that is answered: what a server asks a client to prove, and how.

    Attributes:
        algorithm: as the server writes it; empty where it names none, which is MD5.
        qop: `auth`, or empty for servers of RFC 2069, which count no requests.
        userhash: the user name is sent as a hash.
    """

    realm: str
    nonce: str
    algorithm: str = ""
    opaque: str | None = None
    qop: str = ""
    userhash: bool = False

    @property
    def _hash(self) -> Callable[[str], str]:
        name = ALGORITHMS[_plain(self.algorithm)]
        return lambda text: hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()

    def header(
        self, method: str, uri: str, username: str, password: str, *, nc: int, cnonce: str
    ) -> str:
        """The value of Authorization for a request (RFC 7616, 3.4)."""
        digest, counted = self._hash, f"{nc:08x}"
        secret = digest(f"{username}:{self.realm}:{password}")
        if self._of_session:
            secret = digest(f"{secret}:{self.nonce}:{cnonce}")
        between = f"{self.nonce}:{counted}:{cnonce}:{self.qop}" if self.qop else self.nonce
        quoted = {
            "realm": self.realm,
            "uri": uri,
            "nonce": self.nonce,
            "response": digest(f"{secret}:{between}:{digest(f'{method}:{uri}')}"),
            "cnonce": cnonce if self.qop or self._of_session else None,
            "opaque": self.opaque,
        }
        counts = {"nc": counted, "qop": self.qop} if self.qop else {}
        plain = {"algorithm": self.algorithm, **counts, "userhash": "true" * self.userhash}
        parts = [
            self._user(username),
            *(f'{key}="{_escaped(each)}"' for key, each in quoted.items() if each is not None),
            *(f"{key}={each}" for key, each in plain.items() if each),
        ]
        return f"Digest {', '.join(parts)}"

    @property
    def _of_session(self) -> bool:
        """Whether the key is one of the nonce, and not of the password alone."""
        return self.algorithm.lower().endswith("-sess")

    def _user(self, username: str) -> str:
        """The user name as a parameter; one beyond ASCII as RFC 8187 writes it."""
        if self.userhash:
            return f'username="{self._hash(f"{username}:{self.realm}")}"'
        if username.isascii():
            return f'username="{_escaped(username)}"'
        return f"username*=UTF-8''{quote(username, safe='')}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def asked_in(header: str) -> Asked | None:
    """The challenge with the best algorithm that we know; None where there is none of Digest."""
    found = [asked for each in challenges_in(header) if (asked := _asked(each)) is not None]
    ranks = list(ALGORITHMS)
    return min(found, key=lambda each: ranks.index(_plain(each.algorithm)), default=None)


def _asked(challenge: Challenge) -> Asked | None:
    """What a challenge asks for; None where we cannot answer it."""
    params = challenge.params
    if challenge.scheme != "digest" or "nonce" not in params:
        return None
    qops = [each.strip().lower() for each in params.get("qop", "").split(",") if each.strip()]
    if _plain(params.get("algorithm", "")) not in ALGORITHMS or (qops and "auth" not in qops):
        return None
    return Asked(
        realm=params.get("realm", ""),
        nonce=params["nonce"],
        algorithm=params.get("algorithm", ""),
        opaque=params.get("opaque"),
        qop="auth" if qops else "",
        userhash=params.get("userhash", "").lower() == "true",
    )


def _plain(algorithm: str) -> str:
    """The key of an algorithm in `ALGORITHMS`; a challenge without one means MD5."""
    return (algorithm or "MD5").lower().removesuffix("-sess")


def is_stale(header: str) -> bool:
    """Whether a server refuses the nonce only, and not the password."""
    found = (each for each in challenges_in(header) if each.scheme == "digest")
    return any(each.params.get("stale", "").lower() == "true" for each in found)


def build(config: Config, deps: AuthDeps) -> Digest:
    return Digest(deps.reading(config.username), deps.reading(config.password), deps.clock)


class Digest:
    """An Auth (see worker/http/auth/__init__.py) that answers challenges."""

    def __init__(
        self, username: Callable[[], str], password: Callable[[], str], clock: Clock
    ) -> None:
        self._username, self._password, self._clock = username, password, clock
        self._asked: Asked | None = None
        self._counts = count(1)
        self._accepted = False
        self._renewed_at: float | None = None

    async def authorize(self, request: Outgoing) -> Outgoing:
        if (asked := self._asked) is None:
            return request
        header = asked.header(
            request.method,
            URL(request.url, encoded=True).raw_path_qs,
            self._username(),
            self._password(),
            nc=next(self._counts),
            cnonce=os.urandom(16).hex(),
        )
        return request.with_headers({"Authorization": header})

    def answered(self, answer: Answer) -> None:
        if answer.status < FIRST_ERROR and self._is_current(answer):
            self._accepted = True
            info = challenges_in(f"Info {answer.headers.get('Authentication-Info', '')}")
            if self._asked is not None and (following := info[0].params.get("nextnonce")):
                self._begin(replace(self._asked, nonce=following))

    def renew(self, refused: Answer) -> bool:
        header = refused.headers.get("WWW-Authenticate", "")
        asked, now = asked_in(header), self._clock.monotonic()
        if asked is None:
            raise AuthError(
                "the server asks for no digest that we know: it sent "
                + (f"WWW-Authenticate: {_schemes(header)}" if header else "no WWW-Authenticate"),
                remedy="choose another source.auth; Digest is known with MD5, SHA-256 and "
                "SHA-512-256, and with qop auth",
            )
        if self._asked is not None:
            if not self._is_current(refused):
                return True  # another challenge is there already
            before, self._renewed_at = self._renewed_at, now
            again = before is not None and now - before < RENEWALS_APART_S
            if again and not (self._accepted or is_stale(header)):
                return False
        self._begin(asked)
        return True

    def _begin(self, asked: Asked) -> None:
        self._asked, self._counts, self._accepted = asked, count(1), False

    def _is_current(self, answer: Answer) -> bool:
        """Whether the request of an answer carried an answer to the present challenge."""
        sent = challenges_in(answer.credentials.get("Authorization", ""))
        if not sent or self._asked is None:
            return False
        return sent[0].params.get("nonce") == self._asked.nonce


def _schemes(header: str) -> str:
    """The schemes and algorithms of challenges, for people."""
    found = (
        " ".join(filter(None, (each.scheme, each.params.get("algorithm"), each.params.get("qop"))))
        for each in challenges_in(header)
    )
    return ", ".join(found)[:200]
