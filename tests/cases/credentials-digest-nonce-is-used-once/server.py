import hashlib
import re

from cases.server import Answer

STATE = {"n": 0, "good": ""}


def h(text):
    return hashlib.sha256(text.encode()).hexdigest()


def challenge(stale):
    STATE["n"] += 1
    STATE["good"] = f"n{STATE['n']}"
    digest = f'Digest realm="a, b", nonce="{STATE["good"]}", qop="auth-int, auth", stale={stale}'
    offers = f'Basic realm="x", {digest}, algorithm=MD5, {digest}, algorithm=SHA-256, opaque="o"'
    return Answer({"error": "digest"}, 401, {"WWW-Authenticate": offers})


def answer(ask):
    sent = ask.headers.get("Authorization", "")
    if not sent.startswith("Digest "):
        return challenge("false")
    f = {k: v.strip('"') for k, v in re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', sent)}
    uri = f"{ask.path}?{ask.raw_query}" if ask.raw_query else ask.path
    secret = h("me:a, b:s3cret")
    want = h(f"{secret}:{f['nonce']}:{f['nc']}:{f['cnonce']}:auth:{h(f'{ask.method}:{uri}')}")
    if (
        f["response"] != want
        or f["uri"] != uri
        or f["algorithm"] != "SHA-256"
        or f["opaque"] != "o"
    ):
        return challenge("false")
    if f["nonce"] != STATE["good"]:
        return challenge("true")
    STATE["good"] = ""
    page = int(ask.query["page"])
    return Answer([{"id": page}] if page < 6 else [])
