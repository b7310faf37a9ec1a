from cases.server import Answer

ORDERS = [{"order": n, "lines": [{"line": n * 10 + at} for at in range(n % 4)]} for n in range(7)]


def answer(ask):
    start, most = int(ask.query["offset"]), int(ask.query["limit"])
    return Answer({"orders": ORDERS[start : start + most], "total": len(ORDERS) + 2})
