from cases.server import Answer


def answer(ask):
    if ask.path == "/t/b/items":
        return Answer(b"", 303, {"Location": "/welcome"})
    return Answer([{"id": 1}])
