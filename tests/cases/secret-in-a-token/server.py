from cases.server import Answer


def answer(ask):
    return Answer({"data": [{"id": 1}], "next": f"2:{ask.query['key']}"})
