from cases.server import Answer

ROWS = [{"id": i} for i in range(1, 8)]


def answer(ask):
    at = int(ask.query["from"])
    return Answer({"hits": {"total": {"value": 3, "relation": "gte"}, "hits": ROWS[at : at + 2]}})
