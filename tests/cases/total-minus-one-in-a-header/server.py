from cases.server import Listing, rows

LIST = Listing(rows(5), by="offset")


def answer(ask):
    found = LIST(ask)
    found.headers["X-Total"] = "-1"
    return found
