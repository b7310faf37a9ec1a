from cases.server import Answer

TOKENS = [0]


def answer(ask):
    if ask.path == "/token":
        TOKENS[0] += 1
        return Answer({"access_token": f"t{TOKENS[0]}", "expires_in": 3600})
    if ask.path == "/login":
        return Answer(b"<html>who are you?</html>")
    page = int(ask.query["page"])
    if page == 2 and ask.headers["Authorization"] == "Bearer t1":
        return Answer(b"<html>moved</html>", 302, {"Location": "/login"})
    return Answer([{"id": page}] if page < 4 else [])
