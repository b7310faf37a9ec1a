from cases.server import Answer


def answer(ask):
    return Answer({"code": 7, "wait": {"ms": 50}}, 403)
