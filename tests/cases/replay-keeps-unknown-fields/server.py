from cases.server import Answer


def answer(ask):
    return Answer(b"""{"data": [{"id": 1, "x": 1.0}, {"id": "two", "x": 2.0}, {"id": 3}]}""")
