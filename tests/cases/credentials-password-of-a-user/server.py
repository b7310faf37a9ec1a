from urllib.parse import parse_qs

from cases.server import Answer


def answer(ask):
    if ask.path == "/token":
        if ask.number == 1:
            return Answer({"error": "temporarily_unavailable"}, 503)
        wanted = {
            "grant_type": ["password"],
            "username": ["me"],
            "password": ["s3cret&"],
            "scope": ["a b"],
            "client_id": ["app"],
            "tenant": ["t1"],
        }
        if parse_qs(ask.body) != wanted or ask.headers["X-Realm"] != "r1":
            return Answer({"error": "invalid_request"}, 400)
        return Answer({"access_token": "abc", "token_type": None})
    return Answer([{"id": 1}] if ask.headers["Authorization"] == "Token abc" else {"no": 1})
