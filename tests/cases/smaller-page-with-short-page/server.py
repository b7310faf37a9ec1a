from cases.server import Answer


def answer(ask):
    at, size = int(ask.query["at"]), int(ask.query["size"])
    if size > 2 and at < 6:
        return Answer({"error": "too large"}, 413)
    return Answer([{"id": i} for i in range(at, at + size) if i < 11])
