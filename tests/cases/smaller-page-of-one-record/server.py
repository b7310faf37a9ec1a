from cases.server import Answer


def answer(ask):
    at, size = int(ask.query["at"]), int(ask.query["size"])
    if at <= 5 < at + size:
        return Answer({"error": "broken"}, 500)
    return Answer([{"id": i} for i in range(at, at + size)])
