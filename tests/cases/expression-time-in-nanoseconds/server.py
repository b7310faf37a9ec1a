from cases.server import Answer


def answer(ask):
    return Answer(b"""{"data": [{"id": 1, "at": 1714979289123456789}, {"id": 2, "at": -1}]}""")
