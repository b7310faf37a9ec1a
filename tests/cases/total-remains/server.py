from cases.server import Listing, rows

answer = Listing(
    rows(7), by="offset", total=lambda found, ask: len(found) - int(ask.query["offset"])
)
