"""AWS Signature Version 4 as a server checks it, for the cases that are signed."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import quote, unquote

from cases.server import Ask


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _encoded(text: str) -> str:
    return quote(unquote(text), safe="-._~")


def is_signed(ask: Ask) -> bool:
    """As the page of AWS has it: Create a signed AWS API request."""
    body = json.dumps(ask.body, separators=(",", ":")).encode() if ask.body else b""
    scheme, _, rest = ask.headers["Authorization"].partition(" ")
    fields = dict(part.split("=", 1) for part in rest.split(", "))
    key, day, region, service, end = fields["Credential"].split("/")
    lower = {name.lower(): " ".join(value.split()) for name, value in ask.headers.items()}
    names = fields["SignedHeaders"].split(";")
    pairs = [pair.partition("=") for pair in ask.raw_query.split("&") if pair]
    query = "&".join(f"{a}={b}" for a, b in sorted((_encoded(a), _encoded(b)) for a, _, b in pairs))
    path = quote(ask.path, safe="/-._~")
    headers = "".join(f"{name}:{lower[name]}\n" for name in names)
    content = hashlib.sha256(body).hexdigest()
    whole = "\n".join([ask.method, path, query, headers, ";".join(names), content])
    scope = f"{day}/{region}/{service}/{end}"
    digest = hashlib.sha256(whole.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{lower['x-amz-date']}\n{scope}\n{digest}"
    secret = b"AWS4s3cret-key"
    for part in (day, region, service, end):
        secret = _mac(secret, part)
    return (
        scheme == "AWS4-HMAC-SHA256"
        and key == "AKID"
        and region == "eu-central-1"
        and "host" in names
        and lower["x-amz-security-token"] == "t0ken"
        and _mac(secret, text).hex() == fields["Signature"]
    )
