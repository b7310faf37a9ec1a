from cases.server import Answer


def answer(ask):
    return Answer({"data": [{"id": 1}], "next": "ftp://inner.invalid/items?page=2"})
