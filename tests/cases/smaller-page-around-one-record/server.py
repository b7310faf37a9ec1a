from cases.server import Answer


def answer(ask):
    at, size = int(ask.query["at"]), int(ask.query["size"])
    if at < 7 <= at + size and size > 1:
        return Answer({"error": "timeout"})
    return Answer(
        {"data": [{"id": i} for i in range(at + 1, at + size + 1) if i < 30], "total": 29}
    )
