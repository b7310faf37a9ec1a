from cases.server import Listing, rows

answer = Listing(
    rows(5), by="offset", total=lambda found, ask: min(2, len(found) - int(ask.query["offset"]))
)
