from cases.server import Answer


def answer(ask):
    if "Cookie" in ask.headers:
        return Answer({"error": "a cookie"}, 403)
    page = int(ask.query["page"])
    return Answer([{"id": page}] if page < 3 else [], 200, {"Set-Cookie": f"lb={page}; Path=/"})
