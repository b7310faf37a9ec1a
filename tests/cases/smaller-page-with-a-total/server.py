from cases.server import Answer


def answer(ask):
    page, n = int(ask.query["page"]), int(ask.query["n"])
    first = (page - 1) * n
    if n > 4 and first >= 8:
        return Answer({}, 504)
    return Answer({"total": 21, "data": [{"id": i} for i in range(first, min(first + n, 21))]})
