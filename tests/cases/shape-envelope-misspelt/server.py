from cases.server import Answer


def answer(ask):
    return Answer({})
