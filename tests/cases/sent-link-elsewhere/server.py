from cases.server import Answer, rows


def answer(ask):
    return Answer({"data": rows(2), "next": "http://127.0.0.1:1/items?at=2"})
