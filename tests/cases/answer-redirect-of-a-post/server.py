from cases.server import Answer


def answer(ask):
    if ask.number < 3:
        return Answer(b"", 307, {"Location": "/busy"})
    return Answer([{"id": 1}])
