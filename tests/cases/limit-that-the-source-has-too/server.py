from cases.server import Answer, Listing, rows

listing = Listing(rows(4), by="page", change=lambda ask, body: body | {"cost": 30})


def answer(ask):
    if ask.number == 2:
        return Answer({"cost": 1000}, 429, {"Retry-After": "0"})
    return listing(ask)
