import time

from cases.server import Answer, Listing, rows

SENT = []
listing = Listing(rows(12), by="page")


def answer(ask):
    now = time.monotonic()
    SENT.append(now)
    for most, per_s in ((5, 0.5),):
        # the way to here takes a different time for each request
        if sum(now - at < per_s - 0.05 for at in SENT) > most:
            return Answer({"error": f"more than {most} within {per_s} s"}, 400)
    return listing(ask)
