import time
from email.utils import formatdate

from cases.server import Answer

START = int(time.time())
ROWS = [{"id": 1, "at": START - 1800}]


def answer(ask):
    """Its clock is an hour late in the first run, in which it has nothing: 204."""
    now = time.time() - (3600 if ask.run == 1 else 0)
    date = {"Date": formatdate(now, usegmt=True)}
    begin, end = int(ask.query["from"]), int(ask.query["to"])
    found = [row for row in ROWS if row["at"] <= now and begin <= row["at"] < end]
    return Answer(found, headers=date) if found else Answer(status=204, headers=date)
