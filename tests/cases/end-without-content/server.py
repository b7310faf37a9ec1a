from cases.server import Answer, Listing, rows

LIST = Listing(rows(4), by="page")


def answer(ask):
    return LIST(ask) if ask.query["page"] < "3" else Answer(status=204)
