from cases.server import Answer


def answer(ask):
    if ask.path == "/items":
        return Answer(b"", 301, {"Location": "/v2/items"})
    return Answer([{"id": 1}])
