from cases.server import Answer, rows


def answer(ask):
    at = int(ask.query["offset"])
    found = rows(5)[at : at + 2]
    return Answer(found, 206, {"Content-Range": f"items {at}-{at + 1}/*"})
