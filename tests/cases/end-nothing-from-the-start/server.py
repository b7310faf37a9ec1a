from cases.server import Answer


def answer(ask):
    return Answer(status=204)
