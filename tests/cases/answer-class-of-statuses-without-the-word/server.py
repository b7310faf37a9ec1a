from cases.server import Answer


def answer(ask):
    return Answer({"error": "no such list"}, 404)
