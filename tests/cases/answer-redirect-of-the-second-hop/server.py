from cases.server import Answer


def answer(ask):
    if ask.path == "/items":
        return Answer(b"", 302, {"Location": "/eu/items"})
    if ask.number == 2:
        return Answer(b"", 307, {"Location": "/busy", "X-Wait": "20"})
    return Answer([{"id": 1}])
