from cases.server import Answer


def answer(ask):
    if ask.path == "/moved":
        return Answer([{"id": 1}])
    if ask.number == 1:
        return Answer({"reason": "throttled"}, 302, {"Location": "/wait", "X-Wait": "20"})
    return Answer({"reason": "moved"}, 302, {"Location": "/moved"})
