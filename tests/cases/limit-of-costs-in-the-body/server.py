import time

from cases.server import Answer, rows

BOOKED = []
ROWS = rows(12)


def answer(ask):
    now = time.monotonic()
    BOOKED.append((now, 4))
    if sum(cost for at, cost in BOOKED if now - at < 0.45) > 10:
        return Answer({"errors": [{"message": "over the budget"}], "data": None}, 400)
    at = ask.body["variables"]["after"] or 0
    found = {"nodes": ROWS[at : at + 2], "next": at + 2 if at + 2 < len(ROWS) else None}
    return Answer({"data": {"items": found}, "extensions": {"cost": {"actual": 4}}})
