from cases.server import Answer


def answer(ask):
    return Answer({"data": [{"id": 1}, {"id": 2}], "meta": {"made": "noon", "count": 2}})
