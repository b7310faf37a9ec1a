from cases.server import Answer


def answer(ask):
    return Answer(b"""{"data": [{"id": 1, "draft":true}, {"id": 2, "draft":false}, {"id": 3}]}""")
