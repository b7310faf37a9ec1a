from cases.server import Answer


def answer(ask):
    at = 2 * int(ask.query["page"])
    if at == 4:
        return Answer({"error": "record 3 is broken"})
    return Answer({"data": [{"id": i} for i in (at - 1, at) if i < 8]})
