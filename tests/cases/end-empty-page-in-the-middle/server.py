from cases.server import Listing, rows

SEEN = []


def empty_once(ask, body):
    """The first answer for the second page is empty: a replica lags."""
    SEEN.append(ask.query["page"])
    return {**body, "data": []} if SEEN.count("2") == 1 and SEEN[-1] == "2" else body


answer = Listing(rows(5), by="page", change=empty_once)
