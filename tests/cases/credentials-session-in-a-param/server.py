from cases.server import Answer


def answer(ask):
    if ask.path == "/login":
        return Answer({"token": "tok3n-of-the-day"})
    if ask.query.get("token") != "tok3n-of-the-day":
        return Answer({"error": {"code": 498}}, 401)
    at = int(ask.query.get("at", 1))
    following = f"{ask.origin}/items?at={at + 1}&token=tok3n-of-the-day" if at < 3 else None
    return Answer({"data": [{"id": at}], "next": following})
