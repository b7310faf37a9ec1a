"""HTTP digest (RFC 7616) as a server checks it, with nonces that are used once."""

from __future__ import annotations

import hashlib
import re

from cases.server import Answer, Ask


class Challenger:
    """Asks for the digest of `me` and `s3cret`; each nonce is good for one request."""

    def __init__(self) -> None:
        self._number, self._good = 0, ""

    def refusal(self, ask: Ask) -> Answer | None:
        """A challenge; None for a request that answers the last one."""
        sent = ask.headers.get("Authorization", "")
        if not sent.startswith("Digest "):
            return self._challenge("false")
        f = {k: v.strip('"') for k, v in re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', sent)}
        uri = f"{ask.path}?{ask.raw_query}" if ask.raw_query else ask.path
        secret = _hash("me:a, b:s3cret")
        whole = f"{f['nonce']}:{f['nc']}:{f['cnonce']}:auth:{_hash(f'{ask.method}:{uri}')}"
        if (
            f["response"] != _hash(f"{secret}:{whole}")
            or f["uri"] != uri
            or f["algorithm"] != "SHA-256"
            or f["opaque"] != "o"
        ):
            return self._challenge("false")
        if f["nonce"] != self._good:
            return self._challenge("true")
        self._good = ""
        return None

    def _challenge(self, stale: str) -> Answer:
        self._number += 1
        self._good = f"n{self._number}"
        digest = f'Digest realm="a, b", nonce="{self._good}", qop="auth-int, auth", stale={stale}'
        both = f'{digest}, algorithm=MD5, {digest}, algorithm=SHA-256, opaque="o"'
        offers = f'Basic realm="x", {both}'
        return Answer({"error": "digest"}, 401, {"WWW-Authenticate": offers})


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
