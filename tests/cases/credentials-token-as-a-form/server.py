from cases.server import Answer


def answer(ask):
    if ask.path == "/token":
        form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        return Answer(b"access_token=abc&token_type=bearer&expires_in=3600", 200, form)
    return Answer([{"id": 1}] if ask.headers["Authorization"] == "Bearer abc" else {"no": 1})
