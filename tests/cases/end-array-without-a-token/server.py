from cases.server import Answer


def answer(ask):
    if "token" not in ask.query:
        return Answer({"data": [{"id": 1}, {"id": 2}], "meta": {"next": "t"}})
    return Answer({"data": [{"id": 3}]})
