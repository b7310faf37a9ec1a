from cases.server import Answer


def answer(ask):
    at, n = int(ask.query["from"]), int(ask.query["size"])
    if at + n > 12:
        return Answer({"error": {"type": "too_large"}}, 400)
    return Answer([{"id": i} for i in range(at, min(at + n, 11))])
