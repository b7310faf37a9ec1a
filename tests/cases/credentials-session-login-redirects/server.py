from cases.server import Answer


def answer(ask):
    if ask.path == "/login":
        return Answer("", 302, {"Location": "/welcome", "Set-Cookie": "sid=abcdef; Path=/; Secure"})
    if ask.path == "/welcome":
        return Answer({"error": "for people"}, 500)
    return Answer([{"id": 1}] if "sid=abcdef" in ask.headers.get("Cookie", "") else {"no": 1})
