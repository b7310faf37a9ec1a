from cases.server import Answer


def answer(ask):
    return Answer([{"id": 1}], 302, {"Location": "/login"})
