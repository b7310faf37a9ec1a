from cases.server import Answer


def answer(ask):
    return Answer({"error": f"{ask.path} is not allowed"}, 401)
