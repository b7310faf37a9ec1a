from cases.server import Answer


def answer(ask):
    return Answer({"error": "broken"}, 500)
