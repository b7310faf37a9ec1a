from cases.server import Answer


def answer(ask):
    size, page = min(int(ask.query["size"]), 3), int(ask.query["page"])
    if size > 2 and page == 3:
        return Answer({"error": "too large"}, 413)
    return Answer([{"id": i} for i in range((page - 1) * size + 1, page * size + 1) if i < 12])
