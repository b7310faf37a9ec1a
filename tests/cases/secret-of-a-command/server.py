from cases.server import Answer


def answer(ask):
    if ask.headers.get("Authorization") != f"Bearer key-of-{ask.query['tenant']}":
        return Answer({"error": "no"}, 401)
    return Answer([{"id": 1 + "ab".index(ask.query["tenant"])}])
