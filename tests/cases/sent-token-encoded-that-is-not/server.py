from cases.server import Answer


def answer(ask):
    return Answer({"data": [{"id": 1}], "next": "a&b"})
