from cases.server import Answer


def answer(ask):
    return Answer([{"id": 1}], 403 if "Proxy-Authorization" in ask.headers else 200)
