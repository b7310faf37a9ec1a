from cases.server import Answer


def answer(ask):
    at = int(ask.query["offset"])
    if at == 4 or at == 3:
        return Answer({"error": "broken"}, 500)
    return Answer({"data": [{"id": i} for i in range(at + 1, at + 3) if i < 10], "total": 9})
