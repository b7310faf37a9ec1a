from cases.server import Listing, rows

LIST = Listing(rows(6), by="link")


def answer(ask):
    found = LIST(ask)
    if ask.query.get("at") == "2":
        found.headers["Link"] = f'<{ask.origin}/items?at=2>; rel="next"'
    return found
