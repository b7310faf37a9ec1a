from cases.server import Answer


def answer(ask):
    if ask.path == "/login":
        return Answer({"error": "locked", "token": None})
    return Answer([{"id": 1}])
