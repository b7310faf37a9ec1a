import base64
import hashlib
import hmac
import json
import time
from urllib.parse import parse_qs

from cases.server import Answer

KEY = b"a-shared-key-of-thirty-two-bytes"


def part(text):
    return json.loads(base64.urlsafe_b64decode(text + "=="))


def answer(ask):
    if ask.path == "/token":
        form = parse_qs(ask.body)
        head, claims, signature = form["assertion"][0].split(".")
        mac = hmac.digest(KEY, f"{head}.{claims}".encode(), hashlib.sha256)
        signed = base64.urlsafe_b64encode(mac).decode().rstrip("=") == signature
        head, claims = part(head), part(claims)
        now = time.time()
        good = (
            form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
            and head == {"alg": "HS256", "kid": "k1", "typ": "JWT"}
            and claims["iss"] == claims["sub"] == "me@example.com"
            and claims["aud"] == f"{ask.origin}/token"
            and claims["scope"] == "read"
            and now - 60 < claims["iat"] <= now < claims["exp"] <= now + 301
        )
        if not (signed and good):
            return Answer({"error": "invalid_grant"}, 400)
        return Answer({"access_token": "abc", "expires_in": 3600})
    return Answer([{"id": 1}] if ask.headers["Authorization"] == "Bearer abc" else {"no": 1})
