from urllib.parse import parse_qs

from cases.server import Answer


def answer(ask):
    if ask.path == "/login":
        form = parse_qs(ask.body)
        good = (
            form == {"user": ["me"], "password": ["s3 cret&"]} and ask.headers["X-App"] == "app-1"
        )
        return Answer({}, 200 if good else 401, {"X-Session": "abcdef"} if good else {})
    return Answer([{"id": 1}] if ask.headers.get("X-Auth") == "Session abcdef" else {}, 200)
