import time

from cases.server import Answer


def ms(seconds):
    """So many seconds from now, in milliseconds since 1970."""
    return int((time.time() + seconds) * 1000)


ROWS = [{"id": 1, "at": ms(-3000)}, {"id": 2, "at": ms(-2000)}, {"id": 3, "at": ms(9e8)}]
NEW = {"id": 4, "at": ms(1)}


def answer(ask):
    found = sorted(ROWS + ([NEW] if ask.run > 1 else []), key=lambda row: -row["at"])
    return Answer([row for row in found if row["at"] >= int(ask.query["since"])])
