from cases.server import Answer


def answer(ask):
    tenant = ask.query["tenant"]
    return Answer({"data": [{"id": 1 if tenant == "a" else 2}]})
