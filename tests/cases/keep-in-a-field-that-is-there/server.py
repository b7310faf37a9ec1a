from cases.server import Answer


def answer(ask):
    return Answer(b"""{"data": [{"id": 1, "x": 2}, {"id": 2, "more": "mine"}, {"id": 3}]}""")
