import time
from email.utils import formatdate

from cases.server import Answer

START = int(time.time())
ROWS = [{"id": 1, "at": START - 7200}, {"id": 2, "at": START - 1800}]


def answer(ask):
    """Its clock is an hour late in the first run: what its clock has not reached is not there."""
    now = time.time() - (3600 if ask.run == 1 else 0)
    found = [row for row in ROWS if row["at"] <= now]
    begin, end = int(ask.query["from"]), int(ask.query["to"])
    return Answer(
        [row for row in found if begin <= row["at"] < end],
        headers={"Date": formatdate(now, usegmt=True)},
    )
