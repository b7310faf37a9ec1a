from cases.server import Answer

FIRST = 340282366920938463463374607431768211455


def answer(ask):
    page = int(ask.query["page"])
    return Answer([{"id": FIRST - page * 2 + 2}, {"id": FIRST - page * 2 + 1}] if page < 3 else [])
