from cases.server import Answer


def answer(ask):
    if ask.number == 1:
        return Answer({"code": 1015, "wait": {"ms": 50}}, 403)
    return Answer([{"id": 1}])
