from cases.server import Answer


def answer(ask):
    return Answer({"error": "no"}, 401, {"WWW-Authenticate": 'Bearer realm="x"'})
